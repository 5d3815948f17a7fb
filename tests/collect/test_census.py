"""What `coopery disk` counts is what du counts, and what is not ours is named."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from coopery import Builder, Environment
from coopery.collect import census
from coopery.flights.whereabouts import whereabouts
from coopery.home import Home
from coopery.shelf import Shelf

Define = Callable[..., Environment]


def du(root: Path) -> int:
    done = subprocess.run(["du", "-s", "--block-size=1", root], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0])


@pytest.mark.processes
def test_the_total_is_that_of_du(builder: Builder, define: Define, home: Path) -> None:
    builder.build(define("a"))
    builder.build(define("b"))
    (home / "packages" / ("0" * 64) / "deep" / "er").mkdir(parents=True)
    one = home / "packages" / ("0" * 64) / "deep" / "er" / "file"
    one.write_bytes(bytes(70_000))
    os.link(one, home / "packages" / ("0" * 64) / "again")
    (home / "packages" / ("1" * 64)).mkdir()
    os.link(one, home / "packages" / ("1" * 64) / "third")
    (home / "packages" / ("1" * 64) / "out").symlink_to("/usr")
    (home / "notes.txt").write_text("mine")
    used = builder.disk()
    assert used.total == du(home)
    assert sum(kind.size for kind in used.kinds) == used.total


def test_an_image_has_its_own_and_shared_bytes(builder: Builder, define: Define) -> None:
    first, second = builder.build(define("a", "ada")), builder.build(define("b", "bob"))
    used = {image.image: image for image in builder.disk().images}
    assert used.keys() == {first.id, second.id}
    for image in used.values():
        assert image.own > 0
        assert image.shared > 0  # the file that they have in common
    assert used[first.id].shared == used[second.id].shared
    assert used[first.id].name.startswith("ada (")


def test_looking_changes_nothing(builder: Builder, define: Define, home: Path) -> None:
    builder.build(define("a"))

    def state() -> dict[str, int]:
        return {str(path): path.lstat().st_mtime_ns for path in home.rglob("*") if "sqlite" not in path.name}

    before = state()
    builder.disk()
    builder.gc(dry_run=True, grace=0, keep_last=0)
    builder.list()
    assert state() == before


def test_an_empty_or_absent_folder_takes_what_it_takes(tmp_path: Path) -> None:
    with Builder(home=tmp_path / "none") as builder:
        assert builder.disk().total == 0
        assert builder.disk().images == ()
    assert not (tmp_path / "none").exists()


def test_what_is_not_ours_is_named_and_never_entered(builder: Builder, define: Define, home: Path) -> None:
    builder.build(define("a"))
    whereabouts(home, "docker", make=True)
    assert builder.disk().foreign == ()
    outside = home.parent / "outside"
    (outside / ("0" * 64)).mkdir(parents=True)
    (home / "packages").symlink_to(outside)
    (home / "mine").mkdir()
    (home / "images" / "blobs" / "sha256" / "README").write_text("?")
    (home / "logs" / "notes.txt").write_text("?")
    (home / "images" / "blobs" / "sha256" / ("0" * 64)).symlink_to("/etc/passwd")
    foreign = builder.disk().foreign
    expected = {"packages", "mine", "images/blobs/sha256/README", "logs/notes.txt", f"images/blobs/sha256/{'0' * 64}"}
    assert set(foreign) == expected


def test_a_shelf_inside_a_shelf(tmp_path: Path) -> None:
    home = Home(tmp_path)
    (tmp_path / "packages" / "pip").mkdir(parents=True)
    for name in ("a" * 64, "a" * 64 + ".json", "b" * 64, "x"):
        (tmp_path / "packages" / name).write_text("")
    (tmp_path / "packages" / "pip" / ("c" * 64 + ".whl")).write_text("")
    shelves = (Shelf("packages", "packages", "artifact"), Shelf("packages/pip", "packages", "artifact"))
    found = census.take(home, shelves)
    assert [(item.stem, len(item.paths)) for item in found.items] == [("c" * 64, 1), ("a" * 64, 2), ("b" * 64, 1)]
    assert [item.name for item in found.foreign] == ["packages/x"]
    assert [item.name for item in census.take(home).foreign] == ["packages"]
