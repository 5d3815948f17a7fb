"""Unpacked wheels on this machine: once each, whole or not at all, and checked before they are believed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from attrs import evolve

from coopery.errors import CacheError, PackageError
from coopery_pip.unpacked import UnpackedWheels
from pip_wheels.conftest import Desk, data
from pip_wheels.wheels import make

FILES = {"pkg/__init__.py": "x = 1\n", "pkg/data.bin": b"\0" * 5000, "pkg-1.0.data/scripts/tool": "#!python\n"}


def kept(desk: Desk) -> Path:
    [folder] = (desk.workshop.home / "wheels").iterdir()
    return folder


def anew(desk: Desk) -> Desk:
    """The same cache folder, in the eyes of a later process."""
    return Desk(desk.workshop)


def test_a_second_build_does_not_open_the_wheel(desk: Desk, tmp_path: Path) -> None:
    artifact, path = make(tmp_path, FILES)
    first = desk.laid((artifact, path))
    path.unlink()
    again = anew(desk).laid((artifact, path))
    assert {name: data(entry) for name, entry in again.items()} == {name: data(e) for name, e in first.items()}


def test_no_name_of_a_stranger_is_one_of_this_machine(desk: Desk, tmp_path: Path) -> None:
    desk.trees(make(tmp_path, FILES))
    assert {path.name for path in kept(desk).iterdir()} == {"0", "1", "2", "3", "4", "index.json"}


@pytest.mark.parametrize("damage", ["content", "shorter", "gone", "index", "index gone", "link"])
def test_what_was_damaged_is_unpacked_again(desk: Desk, tmp_path: Path, damage: str) -> None:
    wheel = make(tmp_path, FILES)
    first = {name: data(entry) for name, entry in desk.laid(wheel).items()}
    file, index = kept(desk) / "1", kept(desk) / "index.json"
    {
        "content": lambda: file.write_bytes(b"\1" * 5000),
        "shorter": lambda: file.write_bytes(b"\0" * 4999),
        "gone": file.unlink,
        "index": lambda: index.write_bytes(index.read_bytes().replace(b"pkg/data.bin", b"pkg/evil.bin")),
        "index gone": index.unlink,
        "link": lambda: (file.unlink(), file.symlink_to("/dev/zero")),
    }[damage]()
    assert {name: data(entry) for name, entry in anew(desk).laid(wheel).items()} == first


def test_threads_unpack_it_once(desk: Desk, tmp_path: Path) -> None:
    artifact, path = make(tmp_path, FILES)
    store = UnpackedWheels(desk.workshop.home / "wheels", desk.workshop.staging)
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: store.checked(artifact, path), range(16)))
    assert len(found) == 1
    assert not list(desk.workshop.staging.iterdir())


def test_one_bad_wheel_leaves_the_others_whole(desk: Desk, tmp_path: Path) -> None:
    good = [make(tmp_path, FILES, name=name) for name in ("one", "two", "three")]
    with pytest.raises(PackageError, match=r"bad-1\.0"):
        desk.trees(*good, make(tmp_path, {"x": "x"}, name="bad", unlisted=["x"]))
    assert not list(desk.workshop.staging.iterdir())
    assert [len(list(tree.entries())) for tree in desk.trees(*good)] == [7, 7, 7]


def test_a_disk_that_refuses(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = make(tmp_path, FILES)
    (desk.workshop.home / "wheels").parent.mkdir(parents=True)
    (desk.workshop.home / "wheels").write_text("in the way")
    with pytest.raises(CacheError):
        desk.trees(wheel)
    assert not list(desk.workshop.staging.iterdir())


@pytest.mark.parametrize(
    ("untrue", "message"),
    [
        ({"version": "2.0"}, "is locked as pkg 2.0"),
        ({"name": "other"}, "is locked as other 1.0"),
        ({"file_name": "pkg-2.0-py3-none-any.whl"}, "is locked as pkg 1.0"),
        ({"version": "2.0", "file_name": "pkg-2.0-py3-none-any.whl"}, "holds 'pkg-1.0.dist-info', and is locked as"),
        ({"file_name": "pkg-1.0.zip"}, "is not the file name of a wheel"),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_an_untrue_lock_is_refused_whether_the_wheel_is_known_or_not(
    desk: Desk, tmp_path: Path, untrue: dict[str, str], message: str, known: bool
) -> None:
    artifact, path = make(tmp_path, FILES)
    if known:
        desk.laid((artifact, path))
    with pytest.raises(PackageError, match=message):
        desk.laid((evolve(artifact, **untrue), path))
