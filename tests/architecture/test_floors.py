"""A file imports only from floors below its own. The picture is in docs/architecture.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest
from attrs import frozen

CORE = Path(__file__).parents[2] / "core" / "coopery"
PLUGINS = Path(__file__).parents[2] / "plugins"

FLOORS = {
    1: "errors digest platform encoding faults sharing spelled use",
    2: "definition target lock layer image sealed files",
    3: "canonical key why dockerignore reference facts",
    4: "cancel place inside materializer base_source backend cache leases events shelf exchange",
    5: "hookspecs",
    6: "failure redact foreground tether processes activation driver private settings wire registry blobs folders "
    "whole bytecode home logs records "
    "read schema seal tree content layout_index oci sif layers snapshots stores formats "
    "lockfile",
    7: "entries plugins preflight engines export assemble places ledger flights stages locks planning exporting "
    "keeping pushing pulling moving aside collect compare building build",
    8: "cli __main__",
    9: "testing pytest_store",
}
FLOOR = {name: floor for floor, names in FLOORS.items() for name in names.split()}

UPWARD = {
    ("definition", "read"): "Environment.load is where people look for it; imported when called",
    ("__init__", "*"): "the public names, imported on first use",
    ("backend", "home"): "the same: each member of a group has interpreters of his own",
    ("backend", "bytecode"): "a workshop that was lent no compilers makes its own when it is made",
}
HEAVY = {
    "click": ("cli", "__main__"),
    "rich": ("cli",),
    "zstandard": ("oci",),
    "ruamel": ("read",),
    "pluggy": ("plugins", "hookspecs"),
    "urllib3": ("wire",),
    "cryptography": ("stores",),
}
FOREIGN = {"rattler", "docker", "podman", "conda", "uv", "pip", "requests"}


@frozen
class Import:
    file: Path
    line: int
    name: str
    typing_only: bool

    @property
    def source(self) -> str:
        return _module(self.file)

    @property
    def target(self) -> str:
        return self.name.split(".")[1] if "." in self.name else "__init__"


def _module(file: Path) -> str:
    relative = file.relative_to(CORE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


@cache
def _imports(file: Path) -> tuple[Import, ...]:
    return tuple(_found(file))


def _statements(body: Sequence[ast.AST], guarded: bool = False) -> Iterator[tuple[ast.stmt, bool]]:
    """Every statement below *body*, and whether only type checkers see it. Expressions hold no imports."""
    for node in body:
        if isinstance(node, ast.stmt):
            yield node, guarded
        inside = guarded or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            below = getattr(node, name, ())
            if isinstance(below, list):
                yield from _statements(below, inside)


def _found(file: Path) -> Iterator[Import]:
    for node, guarded in _statements(ast.parse(file.read_text(encoding="utf-8")).body):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(file, node.lineno, alias.name, guarded)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                name = f"coopery.{alias.name}" if node.module == "coopery" else node.module
                yield Import(file, node.lineno, name, guarded)


FILES = sorted(CORE.rglob("*.py"))


def test_every_module_stands_on_a_floor() -> None:
    modules = {_module(file) for file in FILES} - {"__init__"}
    assert modules - FLOOR.keys() == set(), "name its floor in FLOORS and in docs/architecture.md"
    assert FLOOR.keys() - modules == set(), "a floor names a module that is gone"


def test_imports_go_down() -> None:
    wrong = [
        f"{found.file.relative_to(CORE)}:{found.line}: {found.source} (floor {FLOOR[found.source]}) imports "
        f"{found.target} (floor {FLOOR.get(found.target, 0)})"
        for file in FILES
        for found in _imports(file)
        if found.name.startswith("coopery") and not found.typing_only and not _allowed(found)
    ]
    assert wrong == []


def _allowed(found: Import) -> bool:
    if found.source == "__init__" or (found.source, found.target) in UPWARD:
        return True
    if found.target in ("__init__", "__version__") or found.target == found.source:
        return True
    return FLOOR.get(found.target, 99) <= FLOOR[found.source]


def test_core_imports_no_engine_and_no_package_manager() -> None:
    wrong = [
        f"{found.file.relative_to(CORE)}:{found.line}: imports {found.name}"
        for file in FILES
        for found in _imports(file)
        if found.name.partition(".")[0] in FOREIGN or found.name.startswith("coopery_")
    ]
    assert wrong == []


@pytest.mark.parametrize("library", HEAVY)
def test_a_library_enters_in_one_place(library: str) -> None:
    users = {found.source for file in FILES for found in _imports(file) if found.name.split(".")[0] == library}
    assert users <= set(HEAVY[library])


def test_plugins_never_import_each_other() -> None:
    for plugin in sorted(path for path in PLUGINS.iterdir() if path.is_dir()):
        own = f"coopery_{plugin.name}"
        for file in plugin.rglob("*.py"):
            names = {found.name.partition(".")[0] for found in _imports(file)}
            strangers = {name for name in names if name.startswith("coopery_")} - {own}
            assert strangers == set(), file
