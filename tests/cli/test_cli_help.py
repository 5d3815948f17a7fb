"""Every command teaches: one sentence, two examples, its page, its twin in Python."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from coopery.build import Builder
from coopery.cli.failing import Command
from coopery.cli.root import COMMANDS, root

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "cli.md").read_text(encoding="utf-8")


def command(name: str) -> Command:
    found: Command = import_module(f"coopery.cli.{name}").command
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_help(name: str, coopery: Callable[..., Result]) -> None:
    result = coopery(name, "--help")
    assert result.exit_code == 0
    usage, _, rest = result.stdout.partition("\n\n")
    assert usage.startswith(f"Usage: coopery {name}")
    assert rest.split("\n\n")[0].strip().endswith(".")
    assert len(command(name).examples) >= 2
    for example in command(name).examples:
        assert f"\n  {example}\n" in result.stdout
        assert example.startswith(f"coopery {name}")
    assert "Docs: docs/" in result.stdout
    assert "\nIn Python: Builder." in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_page(name: str) -> None:
    section = PAGE.partition(f"\n## `coopery {name}`\n")[2].partition("\n## ")[0]
    assert f"    coopery {name}" in section
    assert f"| [`{name}`](#coopery-{name}) |" in PAGE
    for option in command(name).params:
        shared = {"--backend", "--cache", "--leases", "--home", "--output", "--quiet", "--help"}
        if option.param_type_name == "option" and not shared & set(option.opts):
            assert any(spelling in section for spelling in option.opts), option.opts
    if any("--output" in option.opts for option in command(name).params):
        assert f"`coopery.{name}.v1`" in section


@pytest.mark.parametrize("name", COMMANDS)
def test_twin(name: str) -> None:
    cls, _, method = command(name).twin.partition(".")
    assert cls == "Builder"
    assert callable(getattr(Builder, method))
    assert f"`Builder.{method}`" in PAGE


@pytest.mark.parametrize("name", COMMANDS)
def test_pages_that_help_names_exist(name: str) -> None:
    for page in command(name).docs.split(", "):
        assert (DOCS.parent / page.partition("#")[0]).exists() or page == "docs/definition.md"


@pytest.mark.parametrize("width", ["30", "80", "200"])
def test_help_fits_terminals(width: str, coopery: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", width)
    result = CliRunner().invoke(root, ["--help"], prog_name="coopery", terminal_width=int(width))
    assert result.exit_code == 0
    assert all(name in result.stdout for name in COMMANDS)


def test_version(coopery: Callable[..., Result]) -> None:
    import coopery as package

    assert coopery("--version").stdout == f"coopery {package.__version__}\n"


def test_exit_codes_are_those_of_the_errors() -> None:
    from coopery import errors

    page = (DOCS / "exit-codes.md").read_text(encoding="utf-8")
    for name, cls in vars(errors).items():
        if isinstance(cls, type) and issubclass(cls, errors.CooperyError):
            (row,) = [line for line in page.splitlines() if f"`{name}`" in line and line.startswith("|")]
            assert row.startswith(f"| {cls.exit_code} |")


def test_no_other_package_of_core_imports_click_or_rich() -> None:
    core = Path(import_module("coopery").__file__ or "").parent
    for path in core.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        inside = path.is_relative_to(core / "cli")
        assert inside or ("import click" not in text and "from click" not in text), path
        rich = "import rich" in text or "from rich" in text
        assert not rich or path == core / "cli" / "live.py", path
