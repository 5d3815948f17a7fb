"""What packages want of the process that runs, the history, and what identities and records name."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from attrs import evolve

from conda.desk import Desk, make_desk, union
from conda.maker import Channel, File, add_python, text
from coopery.errors import PackageError, ResolveError
from coopery.layer import Tree
from coopery.materializer import Configuration
from coopery.target import Provided, Resolved

pytestmark = pytest.mark.processes


def configure(desk: Desk, target: Resolved, *specs: str) -> Configuration:
    artifacts = desk.lock(*specs, target=target)
    desk.materializer.trees(desk.section(*specs), artifacts, target, Provided())
    return desk.materializer.environment(artifacts, target, Provided())


def variables(name: str, content: str) -> dict[str, File]:
    return {f"etc/conda/env_vars.d/{name}.json": text(content)}


def test_an_environment_with_python(channel: Channel, desk: Desk, target: Resolved) -> None:
    add_python(channel)
    found = configure(desk, target, "python")
    assert found.path == ("/opt/env/bin",)
    assert dict(found.env) == {"CONDA_PREFIX": "/opt/env", "PYTHONNOUSERSITE": "1"}
    assert found.unset == ("PYTHONHOME", "PYTHONPATH")
    assert (found.notes, found.activate) == ((), ())


def test_an_environment_without_python(channel: Channel, desk: Desk, target: Resolved) -> None:
    channel.add("tool")
    found = configure(desk, target, "tool")
    assert dict(found.env) == {"CONDA_PREFIX": "/opt/env"}
    assert found.unset == ()


def test_variables_come_in_order_of_their_files_and_with_the_prefix(
    channel: Channel, desk: Desk, target: Resolved
) -> None:
    channel.add("z", variables("a", '{"A": "1", "BOTH": "a", "HOME_OF": "@PREFIX@/share"}'))
    channel.add("a", variables("b", '{"B": "2", "BOTH": "b"}'))
    env = dict(configure(desk, target, "a", "z").env)
    assert env == {"CONDA_PREFIX": "/opt/env", "A": "1", "B": "2", "BOTH": "b", "HOME_OF": "/opt/env/share"}


def test_of_a_shared_file_of_variables_the_winners_counts(channel: Channel, desk: Desk, target: Resolved) -> None:
    channel.add("low", variables("same", '{"WHO": "low", "LOW": "1"}'))
    channel.add("high", variables("same", '{"WHO": "high"}'), depends=["low"])
    assert dict(configure(desk, target, "high").env) == {"CONDA_PREFIX": "/opt/env", "WHO": "high"}


@pytest.mark.parametrize(
    "content", ["[]", '{"A": 1}', "{", '{"A=B": "x"}', '{"A": "\\u0000"}', '{"": "x"}', '{"A\\n": "x"}', "[" * 100_000]
)
def test_variables_that_are_none(channel: Channel, desk: Desk, target: Resolved, content: str) -> None:
    channel.add("evil", variables("x", content))
    with pytest.raises(PackageError, match=r"evil-1\.0-0\.conda: etc/conda/env_vars\.d/x\.json: "):
        configure(desk, target, "evil")


def test_scripts_are_named_and_never_run(channel: Channel, desk: Desk, target: Resolved, tmp_path: Path) -> None:
    body = f"#!/bin/sh\ntouch {tmp_path}/ran\n"
    files = {f"bin/.gdal-{when}.sh": text(body, 0o755) for when in ("pre-link", "post-link", "pre-unlink")}
    files |= {f"etc/conda/{kind}.d/gdal.sh": text(body) for kind in ("activate", "deactivate")}
    channel.add("gdal", files)
    found = configure(desk, target, "gdal")
    assert found.activate == ("/opt/env/etc/conda/activate.d/gdal.sh",)
    assert [note.split()[1] for note in found.notes] == [
        "bin/.gdal-post-link.sh",
        "bin/.gdal-pre-link.sh",
        "bin/.gdal-pre-unlink.sh",
        "etc/conda/activate.d/gdal.sh",
    ]
    assert all(note.startswith("gdal: ") for note in found.notes)
    union(desk.trees("gdal", target=target))
    assert not (tmp_path / "ran").exists()


# --- the last tree, records, identities ----------------------------------------------------------


def only_last(trees: Sequence[Tree]) -> Tree:
    [last] = [tree for tree in trees if tree.last]
    return last


def test_the_history_is_the_same_in_every_environment(channel: Channel, desk: Desk, target: Resolved) -> None:
    channel.add("lib")
    channel.add("tool", depends=["lib"])
    last = only_last(desk.trees("tool >=1", target=target))
    [entry] = last.entries()
    assert (entry.path, list(last.paths())) == ("opt/env/conda-meta/history", ["opt/env/conda-meta/history"])
    assert entry.source == b"==> 1970-01-01 00:00:00 <==\n# cmd: coopery build\n"
    other = only_last(desk.trees("lib", target=target))
    assert other.identity == last.identity


def test_nothing_in_the_image_names_the_machine(
    channel: Channel, desk: Desk, target: Resolved, make_channel: Callable[[str], Channel]
) -> None:
    for name in ("one", "two"):
        add_python(channel) if name == "one" else channel.add(name, depends=["python"])
    found = union(desk.trees("two", target=target, channels=(str(channel.root),)))
    assert not [path for path, one in found.items() if str(desk.root).encode() in one.data]
    record = json.loads(found["opt/env/conda-meta/two-1.0-0.json"].data)
    assert record["url"] == "file:///channel/linux-64/two-1.0-0.conda"
    assert not {"extracted_package_dir", "link", "requested_specs"} & record.keys()


def test_a_record_is_read_by_rattler(channel: Channel, desk: Desk, target: Resolved, tmp_path: Path) -> None:
    add_python(channel)
    channel.add("tool", noarch="python", entry_points=["t = t:m"], depends=["python"], about={"license": "MIT"})
    found = union(desk.trees("tool", target=target))
    for path, one in found.items():
        if path.endswith(".json"):
            (tmp_path / Path(path).name).write_bytes(one.data)
    code = """if True:
        import os, sys
        from pathlib import Path
        from rattler import PrefixRecord
        for path in sorted(Path(sys.argv[1]).glob("*.json")):
            record = PrefixRecord.from_path(path)
            print(record.name.normalized, record.version, record.sha256.hex()[:4], len(record.files), flush=True)
        os._exit(0)
    """
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["python", "tool"]


def test_one_package_is_one_layer_wherever_it_is_used(channel: Channel, desk: Desk, target: Resolved) -> None:
    channel.add("lib")
    channel.add("a", depends=["lib"])
    channel.add("b", depends=["lib"])
    identity = {
        specs: dict(next(t for t in desk.trees(*specs, target=target) if t.package == "lib").identity)
        for specs in (("a",), ("a", "b"))
    }
    assert identity[("a",)] == identity[("a", "b")]
    other = evolve(target, prefix="/opt/other", glibc="2.40", cuda="12.4")
    elsewhere = dict(next(tree for tree in desk.trees("a", target=other) if tree.package == "lib").identity)
    assert {k for k in elsewhere if elsewhere[k] != identity[("a",)][k]} == {"prefix"}


def test_the_minor_version_of_python_counts_where_it_places_files(
    channel: Channel, desk: Desk, target: Resolved
) -> None:
    for version in ("3.11.7", "3.11.9", "3.12.1"):
        add_python(channel, version)
    channel.add("pkg", {"site-packages/pkg.py": File()}, noarch="python", depends=["python"])
    channel.add("lib")

    def identity(version: str, package: str) -> dict[str, str]:
        trees = desk.trees(f"python =={version}", "pkg", "lib", target=target)
        return dict(next(tree for tree in trees if tree.package == package).identity)

    assert identity("3.11.7", "pkg") == identity("3.11.9", "pkg") != identity("3.12.1", "pkg")
    assert identity("3.11.7", "lib") == identity("3.12.1", "lib")


def test_a_python_without_the_lock_says_where_packages_go(channel: Channel, desk: Desk, target: Resolved) -> None:
    """Free-threaded builds keep their packages in a folder of their own. Source: CEP 17."""
    place = "lib/python3.13t/site-packages"
    channel.add("python", version="3.13.1", build="h1_0_cp313t", about={"python_site_packages_path": place})
    channel.add("pkg", {"site-packages/pkg.py": File()}, noarch="python", depends=["python"])
    found = desk.materializer.resolve(desk.section("pkg"), target, Provided()).provided
    assert found.site_packages == f"/opt/env/{place}"
    assert f"opt/env/{place}/pkg.py" in union(desk.trees("pkg", target=target))


@pytest.mark.parametrize(
    "place", ["../../etc", "/etc", "lib/python3.13/../../../x", "lib/python3.13/site-packages/../.."]
)
def test_a_python_that_sends_packages_elsewhere(channel: Channel, desk: Desk, target: Resolved, place: str) -> None:
    channel.add("python", version="3.13.1", about={"python_site_packages_path": place})
    with pytest.raises(PackageError, match=r"python-3\.13\.1-0\.conda: says that packages go to"):
        desk.trees("python", target=target)


def test_a_package_for_any_python_needs_one(channel: Channel, desk: Desk, target: Resolved) -> None:
    channel.add("pkg", {"site-packages/pkg.py": File()}, noarch="python")
    [tree, _] = desk.trees("pkg", target=target)
    with pytest.raises(PackageError, match="add python to"):
        list(tree.entries())


@pytest.mark.parametrize("point", ["../../../x = p:m", "x = os; evil():m"])
def test_an_entry_point_that_leaves_the_prefix(channel: Channel, desk: Desk, target: Resolved, point: str) -> None:
    add_python(channel)
    channel.add("evil", noarch="python", entry_points=[point], depends=["python"])
    trees = desk.trees("evil", target=target)
    with pytest.raises(PackageError, match=r"evil-1\.0-0\.conda: expected"):
        union(trees)


def test_an_empty_folder(channel: Channel, desk: Desk, target: Resolved) -> None:
    """The format knows them; py-rattler 0.28 fails to install them."""
    channel.add("tool", {"share/x": File(b"x"), "share/empty": File(mode=0o700, kind="directory")})
    [tree, _] = desk.trees("tool", target=target)
    assert "opt/env/share/empty/" in set(tree.paths())
    entries = {entry.path: entry for entry in tree.entries()}
    assert (entries["opt/env/share/empty"].kind, entries["opt/env/share/empty"].mode) == ("directory", 0o755)
    record = entries["opt/env/conda-meta/tool-1.0-0.json"].source
    assert isinstance(record, bytes)
    assert json.loads(record)["files"] == ["share/x"]


def test_a_platform_without_packages(channel: Channel, desk: Desk, target: Resolved) -> None:
    with pytest.raises(ResolveError, match=r"\$\.target\.platform"):
        desk.lock("tool", target=evolve(target, platform="linux/mips64le"))


def test_the_same_bytes_in_another_folder_and_home(
    channel: Channel, desk: Desk, target: Resolved, tmp_path: Path
) -> None:
    add_python(channel)
    channel.add("tool", {"bin/t": text("#!@PREFIX@/bin/python\n", 0o755)}, depends=["python"])
    first = desk.trees("tool", target=target)
    other = tmp_path / "somewhere" / "else"
    shutil.copytree(channel.root, other / "channel")
    with make_desk(other) as elsewhere:
        second = elsewhere.trees("tool", target=target)
        assert [tree.identity for tree in first] == [tree.identity for tree in second]
        assert union(first) == union(second)
    assert not re.search("somewhere|else", repr([tree.identity for tree in second]))
