"""``.pyc`` files of conda packages: which there are, what names them, and which interpreter makes them."""

from __future__ import annotations

import json
import marshal
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from attrs import evolve

from conda.desk import Desk, Seen, make_desk, union
from conda.maker import Channel, File, add_python, link, text
from coopery.bytecode.compiler import Compiler
from coopery.errors import PackageError
from coopery.layer import Tree
from coopery.target import Resolved

pytestmark = pytest.mark.processes

HERE = platform.python_version()
MINOR = ".".join(HERE.split(".")[:2])
TAG = f"cpython-{MINOR.replace('.', '')}"
LIBRARY = f"opt/env/lib/python{MINOR}"


def pyc(found: dict[str, Seen]) -> dict[str, bytes]:
    return {path: one.data for path, one in found.items() if path.endswith(".pyc")}


def build(desk: Desk, target: Resolved, *specs: str) -> dict[str, Seen]:
    return union(desk.trees(*specs, target=target))


def tree_of(trees: Sequence[Tree], package: str) -> Tree:
    return next(tree for tree in trees if tree.package == package)


# --- in trees ------------------------------------------------------------------------------------


@pytest.fixture
def packages(channel: Channel) -> Channel:
    add_python(channel, HERE, {"os.py": "x = 1\n", "lib2to3/bad.py": "print 'old'\n", "site.py": "home = '@PREFIX@'\n"})
    modules = {
        "site-packages/pkg/__init__.py": text("x = 1\n"),
        "site-packages/pkg/__pycache__/__init__.cpython-36.pyc": File(b"stale"),
        "site-packages/pkg/legacy.py": text("x = 1\n"),
        "site-packages/pkg/legacy.pyc": File(b"stale"),
        "site-packages/pkg/only.pyc": File(b"a module without a source"),
        "python-scripts/tool.py": text("x = 1\n"),
    }
    channel.add("pkg", modules, noarch="python", depends=["python"])
    channel.add("native", {f"lib/python{MINOR}/site-packages/native.py": text("y = 1\n")}, depends=["python"])
    channel.add(
        "plain", {"share/gdb/helper.py": text("z = 1\n"), "share/gdb/__pycache__/helper.cpython-36.pyc": File()}
    )
    return channel


def test_every_module_of_the_python_has_one(packages: Channel, desk: Desk, compiled: Resolved) -> None:
    found = build(desk, compiled, "pkg", "native", "plain")
    assert sorted(pyc(found)) == [
        f"{LIBRARY}/__pycache__/os.{TAG}.pyc",
        f"{LIBRARY}/__pycache__/site.{TAG}.pyc",
        f"{LIBRARY}/site-packages/__pycache__/native.{TAG}.pyc",
        f"{LIBRARY}/site-packages/pkg/__pycache__/__init__.{TAG}.pyc",
        f"{LIBRARY}/site-packages/pkg/__pycache__/legacy.{TAG}.pyc",
        f"{LIBRARY}/site-packages/pkg/only.pyc",
    ]
    code = marshal.loads(pyc(found)[f"{LIBRARY}/__pycache__/site.{TAG}.pyc"][16:])  # noqa: S302 - our own
    assert "/opt/env" in code.co_consts  # compiled from the source as it is in the image
    assert code.co_filename == f"/{LIBRARY}/site.py"


def test_records_list_what_there_is(packages: Channel, desk: Desk, compiled: Resolved) -> None:
    found = build(desk, compiled, "pkg")
    record = json.loads(found[f"opt/env/conda-meta/python-{HERE}-h1_0_cpython.json"].data)
    listed = {f"opt/env/{path}" for path in record["files"]}
    assert listed <= found.keys()
    assert f"{LIBRARY}/__pycache__/os.{TAG}.pyc" in listed
    assert not any("bad" in path and path.endswith("pyc") for path in listed)


def test_paths_announce_all_of_them(packages: Channel, desk: Desk, compiled: Resolved) -> None:
    for tree in desk.trees("pkg", "native", "plain", target=compiled):
        paths = set(tree.paths())
        entries = {entry.path for entry in tree.entries()}
        assert entries <= paths
        assert paths - entries <= {f"{LIBRARY}/lib2to3/__pycache__/bad.{TAG}.pyc"}


def test_without_bytecode_there_is_none(packages: Channel, desk: Desk, target: Resolved) -> None:
    assert sorted(pyc(build(desk, target, "pkg", "native", "plain"))) == [f"{LIBRARY}/site-packages/pkg/only.pyc"]


def test_a_second_cut_does_not_compile_again(
    packages: Channel, desk: Desk, compiled: Resolved, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build(desk, compiled, "pkg")
    with make_desk(desk.root) as again:
        trees = again.trees("pkg", target=compiled)
        monkeypatch.setattr(Compiler, "compile", None)
        assert union(trees) == first


def test_a_damaged_copy_is_compiled_again(packages: Channel, desk: Desk, compiled: Resolved) -> None:
    first = build(desk, compiled, "pkg")
    for kept in (desk.workshop.home / "bytecode").rglob("*.pyc"):
        kept.write_bytes(b"damaged")
    with make_desk(desk.root) as again:
        assert build(again, compiled, "pkg") == first


def test_what_identities_name(packages: Channel, desk: Desk, compiled: Resolved, target: Resolved) -> None:
    with_it = {tree.package: dict(tree.identity) for tree in desk.trees("pkg", "native", "plain", target=compiled)}
    without = {tree.package: dict(tree.identity) for tree in desk.trees("pkg", "native", "plain", target=target)}
    assert with_it["plain"] == without["plain"]
    assert not {"python", "bytecode"} & with_it["plain"].keys()
    assert with_it["native"]["bytecode"] == HERE
    assert "bytecode" not in without["native"]
    assert (with_it["pkg"]["python"], with_it["pkg"]["bytecode"]) == (MINOR, HERE)
    assert without["pkg"]["python"] == MINOR


# --- which interpreter ---------------------------------------------------------------------------


def test_without_any_the_error_says_what_to_do(channel: Channel, desk: Desk, compiled: Resolved) -> None:
    add_python(channel, f"{MINOR}.99")
    [tree, _] = desk.trees("python", target=compiled)
    with pytest.raises(
        PackageError, match=rf"(?s)python-{MINOR}\.99: .*exactly this version.*build\.bytecode to false"
    ):
        list(tree.entries())


def script(version: str) -> File:
    """A Python of another version, made of the one that runs here."""
    fake = f"""#!{sys.executable}
import sys
code = sys.argv[sys.argv.index("-c") + 1].replace("platform.python_version()", "{version!r}")
exec(compile(code, "child", "exec"))
"""
    return File(fake.encode(), 0o755)


def test_the_locked_python_itself_compiles_where_it_runs(channel: Channel, desk: Desk, compiled: Resolved) -> None:
    version = f"{MINOR}.99"
    files = {f"bin/python{MINOR}": script(version), "bin/python": link(f"python{MINOR}"), "lib/x": text("@PREFIX@")}
    channel.add("python", {**files, f"lib/python{MINOR}/os.py": text("x = 1\n")}, version=version, depends=["zlib"])
    channel.add("zlib", {"lib/x": File(b"shared with python")})
    channel.add("pkg", {"site-packages/pkg.py": text("x = 1\n")}, noarch="python", depends=["python"])
    found = build(desk, compiled, "pkg")
    assert f"{LIBRARY}/site-packages/__pycache__/pkg.{TAG}.pyc" in found
    [laid] = [path for path in (desk.workshop.home / "interpreters").iterdir() if path.name != "empty"]
    assert (laid / "opt/env/lib/x").read_text() == "/opt/env"  # python, which depends on zlib, wins


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the channel's other platform is that of this machine")
def test_for_another_platform_the_same_version_is_fetched_for_this_one(
    channel: Channel, desk: Desk, compiled: Resolved
) -> None:
    version = f"{MINOR}.99"
    library = {f"lib/python{MINOR}/os.py": text("x = 1\n")}
    channel.add("python", {f"bin/python{MINOR}": script(version), **library}, version=version)
    channel.add(
        "python", {f"bin/python{MINOR}": File(b"arm", 0o755), **library}, version=version, subdir="linux-aarch64"
    )
    arm = evolve(compiled, platform="linux/arm64", archspec="aarch64")
    found = build(desk, arm, "python")
    assert found[f"opt/env/bin/python{MINOR}"].data == b"arm"
    here = build(desk, compiled, "python")
    assert pyc(found) == pyc(here)
    assert len(pyc(found)) == 1


def test_a_locked_python_never_writes_outside(channel: Channel, desk: Desk, compiled: Resolved, tmp_path: Path) -> None:
    version = f"{MINOR}.99"
    (tmp_path / "outside").mkdir()
    channel.add("evil", {"way": link(str(tmp_path / "outside"))})
    files = {
        f"bin/python{MINOR}": script(version),
        "way/escaped": File(b"x"),
        f"lib/python{MINOR}/os.py": File(b"x = 1"),
    }
    channel.add("python", files, version=version, depends=["evil"])
    tree = tree_of(desk.trees("python", target=compiled), "python")
    with pytest.raises(PackageError, match="exactly this version"):
        list(tree.entries())
    assert list((tmp_path / "outside").iterdir()) == []


def test_threads_share_the_compilers(packages: Channel, desk: Desk, compiled: Resolved) -> None:
    from concurrent.futures import ThreadPoolExecutor

    trees = desk.trees("pkg", "native", "plain", target=compiled)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda tree: {entry.path for entry in tree.entries()}, [*trees, *trees]))
    assert found[: len(trees)] == found[len(trees) :]
