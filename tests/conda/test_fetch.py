"""Packages on this machine: whole and verified, or not there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from conda.desk import Desk, make_desk, union
from conda.maker import Channel, File, link, text
from coopery.errors import PackageError
from coopery.events import Progress
from coopery.target import Provided, Resolved
from coopery_conda.fetch import Packages
from coopery_conda.package import Package
from coopery_conda.process import Worker

pytestmark = pytest.mark.processes


def trees(desk: Desk, target: Resolved, *specs: str, **more: Any) -> dict[str, Any]:
    return union(desk.trees(*specs, target=target, **more))


def left_behind(desk: Desk) -> list[str]:
    return sorted(path.name for path in (desk.workshop.home / "staging").iterdir())


def test_a_second_call_starts_no_process(
    channel: Channel, desk: Desk, target: Resolved, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel.add("tool", {"bin/tool": File(b"x" * 70000, 0o755)})
    artifacts = desk.lock("tool", target=target)
    section = desk.section("tool")
    first = union(desk.materializer.trees(section, artifacts, target, Provided()))
    assert left_behind(desk) == []
    with make_desk(desk.root) as again:
        shutil.rmtree(channel.root)
        monkeypatch.setattr(subprocess, "Popen", None)
        assert union(again.materializer.trees(section, artifacts, target, Provided())) == first


def test_bytes_are_reported_as_they_come(channel: Channel, desk: Desk, target: Resolved) -> None:
    for name in ("one", "two"):
        channel.add(name, {f"share/{name}": File(os.urandom(2 << 20))})
    artifacts = desk.lock("one", "two", target=target)
    desk.materializer.trees(desk.section("one", "two"), artifacts, target, Provided())
    seen = [event for event in desk.events if isinstance(event, Progress) and event.stage == "layers"]
    total = sum(artifact.size for artifact in artifacts)
    assert len(seen) >= 3
    assert [event.done for event in seen] == sorted(event.done for event in seen)
    assert (seen[-1].done, seen[-1].total, seen[-1].unit) == (total, total, "bytes")


def test_modes_do_not_depend_on_the_umask(channel: Channel, tmp_path: Path, target: Resolved) -> None:
    channel.add("tool", {"bin/tool": File(b"x", 0o775), "share/x": File(b"y", 0o664), "share/l": link("x")})
    found = []
    for umask in (0o077, 0o000):
        before = os.umask(umask)
        try:
            with make_desk(tmp_path, tmp_path / f"home-{umask}") as desk:
                found.append(trees(desk, target, "tool"))
        finally:
            os.umask(before)
    assert found[0] == found[1]
    assert found[0]["opt/env/bin/tool"].mode == 0o775


# --- wrong bytes ---------------------------------------------------------------------------------


def test_a_wrong_sha256_names_the_package_and_both_hashes(channel: Channel, desk: Desk, target: Resolved) -> None:
    path = channel.add("tool")
    [artifact] = desk.lock("tool", target=target)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(PackageError, match=f"tool-1.0-0.conda: expected sha256 {artifact.sha256}, got [0-9a-f]{{64}}"):
        desk.materializer.trees(desk.section("tool"), [artifact], target, Provided())
    assert left_behind(desk) == []
    assert not any((desk.workshop.home / "packages").glob("*"))


def test_what_is_sound_is_kept_when_another_is_not(channel: Channel, desk: Desk, target: Resolved) -> None:
    channel.add("sound")
    path = channel.add("broken")
    artifacts = desk.lock("sound", "broken", target=target)
    path.write_bytes(b"no package")
    section = desk.section("sound", "broken")
    with pytest.raises(PackageError, match=r"broken-1\.0-0\.conda"):
        desk.materializer.trees(section, artifacts, target, Provided())
    assert [path.name for path in (desk.workshop.home / "packages").iterdir()] == [artifacts[1].sha256]
    assert left_behind(desk) == []


@pytest.mark.parametrize("name", ["tool-1.0-0.conda", "tool-1.0-0.tar.bz2"])
def test_a_truncated_package_that_was_indexed_so(channel: Channel, desk: Desk, target: Resolved, name: str) -> None:
    path = channel.add("tool", {"share/x": File(os.urandom(9000))}, old=name.endswith("bz2"))
    path.write_bytes(path.read_bytes()[:-3000])
    channel._list(
        "linux-64", path, {"name": "tool", "version": "1.0", "build": "0", "build_number": 0, "depends": []}, {}
    )
    with pytest.raises(PackageError, match=f"{name}: "):
        trees(desk, target, "tool")
    assert left_behind(desk) == []


def test_a_package_that_is_gone(channel: Channel, desk: Desk, target: Resolved) -> None:
    path = channel.add("tool")
    artifacts = desk.lock("tool", target=target)
    path.unlink()
    with pytest.raises(PackageError, match=r"tool-1\.0-0\.conda: cannot be fetched: No such file"):
        desk.materializer.trees(desk.section("tool"), artifacts, target, Provided())


def test_a_package_that_calls_itself_another(channel: Channel, desk: Desk, target: Resolved) -> None:
    channel.add("tool", about={"name": "evil"}, record={"name": "tool"})
    with pytest.raises(PackageError, match=r"says of itself that it is evil-1\.0-0"):
        trees(desk, target, "tool")


# --- damage on disk ------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["changed", "gone", "truncated", "index"])
def test_a_damaged_copy_is_found_and_fetched_again(channel: Channel, desk: Desk, target: Resolved, what: str) -> None:
    channel.add("tool", {"share/x": File(b"content")})
    expected = trees(desk, target, "tool")
    [kept] = [path for path in (desk.workshop.home / "packages").iterdir() if path.is_dir()]
    if what == "index":
        (kept / "info/paths.json").write_text("")
    elif what == "gone":
        (kept / "share/x").unlink()
    else:
        (kept / "share/x").write_bytes(b"tampered" if what == "changed" else b"")
    with make_desk(desk.root) as again:
        with pytest.raises(PackageError, match=r"tool-1\.0-0\.conda: .*\n.*run the build again"):
            trees(again, target, "tool")
        assert trees(again, target, "tool") == expected


def test_a_damaged_summary_is_made_again(channel: Channel, desk: Desk, target: Resolved) -> None:
    channel.add("tool")
    expected = trees(desk, target, "tool")
    [kept] = (desk.workshop.home / "packages").glob("*.json")
    sound = kept.read_bytes()
    for damage in (b"", b"[]", b'{"tag": "coopery.conda.summary.v2", "other": 1}', sound[:-9]):
        kept.write_bytes(damage)
        with make_desk(desk.root) as again:
            assert trees(again, target, "tool") == expected
        assert kept.read_bytes() == sound


# --- hostile archives ----------------------------------------------------------------------------


def listed(tmp_path: Path, rows: Any) -> Package:
    folder = tmp_path / "evil"
    (folder / "info").mkdir(parents=True)
    (folder / "info/paths.json").write_text(json.dumps({"paths": rows, "paths_version": 1}))
    return Package(folder, "evil-1.0-0.conda")


@pytest.mark.parametrize(
    "path", ["../x", "/etc/x", "a/../../x", "a//b", "./a", "a/.", "a\nb", "a\0b", "", "a/", "\ud800", "..", "a/.."]
)
def test_a_listed_path_that_leaves_the_prefix(tmp_path: Path, path: str) -> None:
    with pytest.raises(PackageError, match=r"evil-1\.0-0\.conda: the path .* leaves the prefix"):
        listed(tmp_path, [{"_path": path, "path_type": "hardlink"}]).rows()


@pytest.mark.parametrize(
    "rows",
    [
        None,
        {"ok": 1},
        [{"_path": "ok", "path_type": "device"}],
        [{"path_type": "hardlink"}],
        [{"_path": 3, "path_type": "hardlink"}],
        ["ok"],
        [{"_path": "ok", "path_type": "hardlink"}, {"_path": "ok", "path_type": "softlink"}],
    ],
)
def test_a_list_of_paths_that_is_none(tmp_path: Path, rows: Any) -> None:
    with pytest.raises(PackageError, match=r"evil-1\.0-0\.conda: "):
        listed(tmp_path, rows).rows()


def test_what_is_listed_twice_alike_counts_once(tmp_path: Path) -> None:
    row = {"_path": "ok", "path_type": "hardlink", "sha256": "A" * 64}
    assert [(one.path, one.sha256) for one in listed(tmp_path, [row, row]).rows()] == [("ok", "a" * 64)]


OUTSIDE = [
    {"../escaped": File(b"x")},
    {"../../../escaped": File(b"x")},
    {"a/../../escaped": File(b"x")},
    {"way": link("@OUT@"), "way/escaped": File(b"x")},
    {"way": link(".."), "way/way": link(".."), "way/escaped": File(b"x")},
    {"hard": File(link="@OUT@/secret", kind="tar-hardlink")},
    {"@OUT@/escaped": File(b"x")},
]


@pytest.mark.parametrize("old", [False, True])
def test_an_archive_that_writes_outside(
    channel: Channel, desk: Desk, target: Resolved, tmp_path: Path, old: bool
) -> None:
    """Each is refused, or what leads outside is left out; and nothing else is touched."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    names = [f"evil{number}" for number in range(len(OUTSIDE))]
    for name, members in zip(names, OUTSIDE, strict=True):
        where = str(outside)
        extra = {p.replace("@OUT@", where): evolve(f, link=f.link.replace("@OUT@", where)) for p, f in members.items()}
        channel.add(name, {"ok": File(b"1")}, extra=extra, old=old)
    artifacts = desk.lock(*names, target=target)
    refused = 0
    with Asking(tmp_path) as ask:
        packages = Packages(tmp_path / "packages", tmp_path / "staging")
        for artifact in artifacts:
            try:
                packages.fetch([artifact], {"./channel": channel.root.as_uri()}, ask)
            except PackageError as error:
                assert artifact.file_name in str(error)  # noqa: PT017 - either is fine, as long as nothing is outside
                refused += 1
    assert 0 < refused < len(names)
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"secret": "secret"}
    extracted = [artifact.sha256 for artifact in artifacts]
    for path in tmp_path.rglob("escaped"):
        assert path.relative_to(tmp_path / "packages").parts[0] in extracted
    for path in (tmp_path / "packages").rglob("*"):
        assert path.is_symlink() or path.is_dir() or path.stat().st_nlink == 1


class Asking:
    """One worker, asked by `Packages.fetch`."""

    def __init__(self, home: Path) -> None:
        self._worker = Worker(home / "repodata")

    def __enter__(self) -> Callable[[dict[str, Any]], Any]:
        return lambda request: self._worker.ask(request, lambda progress: None)  # noqa: ARG005 - the protocol's

    def __exit__(self, *error: object) -> None:
        self._worker.close()


def test_a_listed_file_behind_a_link_does_not_read_this_machine(
    channel: Channel, desk: Desk, target: Resolved, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret")
    rows = [
        {"_path": "way", "path_type": "softlink"},
        {"_path": "way/secret", "path_type": "hardlink"},
    ]
    channel.add("evil", {"way": link(str(tmp_path))}, rows=rows)
    with pytest.raises(PackageError, match="'way' is no folder"):
        trees(desk, target, "evil")


def test_a_link_with_a_placeholder_does_not_read_this_machine(
    channel: Channel, desk: Desk, target: Resolved, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret")
    rows = [{"_path": "way", "path_type": "hardlink", "prefix_placeholder": "/x", "file_mode": "text"}]
    channel.add("evil", {"way": link(str(tmp_path / "secret"))}, rows=rows)
    with pytest.raises(PackageError, match="'way' is neither a file nor a plain link"):
        trees(desk, target, "evil")


def test_a_prefix_longer_than_a_binary_has_room_for(channel: Channel, desk: Desk, target: Resolved) -> None:
    channel.add("tool", {"bin/tool": evolve(text("@PREFIX@"), prefix="binary")})
    with pytest.raises(PackageError, match=r"(?s)'bin/tool': the prefix .* is longer than .*choose a shorter"):
        trees(desk, evolve(target, prefix="/" + "p" * 250), "tool")
