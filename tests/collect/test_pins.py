"""What is pinned stays, and a pin names what there is, never a key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from collect_tools import DAY, age, blobs
from hypothesis import given, settings
from hypothesis import strategies as st

from coopery import Builder, Environment
from coopery.collect import pins
from coopery.collect.pins import Pin
from coopery.digest import of_bytes
from coopery.errors import IntegrityError, NotFound, UsageError
from coopery.home import Home
from coopery.lock import Artifact, Lock
from coopery.lockfile import Locked, LockFile, save

Define = Callable[..., Environment]


def lock(*names: str) -> Lock:
    artifacts = [
        Artifact("conda", name, "1", "0", "noarch", f"{name}.conda", "c", f"{n:064x}", 1)
        for n, name in enumerate(names)
    ]
    return Lock("linux/amd64", of_bytes(b"base"), {"glibc": "2.36"}, artifacts)


def test_a_pinned_image_stays(builder: Builder, define: Define, home: Path) -> None:
    kept, gone = builder.build(define("a", "ada")), builder.build(define("b", "bob"))
    assert builder.pin(define("a", "ada")).name == "ada"
    assert builder.pin(kept.key[:12], "paper").image == kept.id
    age(home, DAY)
    done = builder.gc(keep_last=0, unused_for=0, max_size=0)
    assert [details.exists for details in builder.list() if details.key == kept.key] == [True]
    assert [details.exists for details in builder.list() if details.key == gone.key] == [False]
    assert [reason for _, reason in done.kept] == ["pinned as ada"]
    assert builder.build(define("a", "ada")).hit
    assert [pin.name for pin in builder.pins()] == ["ada", "paper"]
    for name in ("ada", "paper"):
        builder.unpin(name)
    age(home, DAY)
    builder.gc(keep_last=0)
    assert blobs(home) == set()


def test_a_pinned_lock_keeps_its_packages(builder: Builder, define: Define, home: Path, tmp_path: Path) -> None:
    builder.build(define("a"))
    path = tmp_path / "train.lock"
    save(path, LockFile((Locked(lock("zlib", "numpy")),)))
    assert builder.pin(path).name == "train"
    packages = home / "packages"
    for number in range(3):
        (packages / f"{number:064x}").mkdir(parents=True)
        (packages / f"{number:064x}.json").write_text("{}")
    age(home, DAY)
    builder.gc(unused_for=0, max_size=0)
    assert sorted(path.name for path in packages.iterdir()) == sorted(
        name for number in range(2) for name in (f"{number:064x}", f"{number:064x}.json")
    )


def test_what_cannot_be_pinned(builder: Builder, define: Define, home: Path) -> None:
    with pytest.raises(NotFound):
        builder.pin(define("a"))
    image = builder.build(define("a"))
    for name in ("../x", "a/b", "-a", "", "a" * 101, "a\n"):
        with pytest.raises(UsageError, match="no name of a pin"):
            pins.check_name(name)
    builder.pin(image.key, "one")
    assert builder.pin(image.key, "one").name == "one"
    other = builder.build(define("b"))
    with pytest.raises(UsageError, match="is taken") as caught:
        builder.pin(other.key, "one")
    assert "coopery unpin one" in caught.value.remedy
    with pytest.raises(NotFound, match="no pin is called 'two'") as missing:
        builder.unpin("two")
    assert "one" in missing.value.remedy
    age(home, DAY)
    builder.gc(keep_last=0)
    with pytest.raises(NotFound, match="is not here"):
        builder.pin(other.key, "two")


@settings(max_examples=15)
@given(
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
    what=st.text(st.characters(codec="utf-8"), max_size=20),
)
def test_a_pin_reads_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, name: str, what: str) -> None:
    home = Home(tmp_path_factory.mktemp("home"))
    made = Pin(name, of_bytes(b"x"), (lock("a", "b"),), what)
    pins.add(home, made)
    assert pins.pins(home) == (made,)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"null", b"\xff", b'{"body": {}, "checksum": "x"}', b"[" * 100_000]
)
def test_a_damaged_pin_is_an_error(tmp_path: Path, data: bytes) -> None:
    home = Home(tmp_path)
    home.pins.mkdir()
    (home.pins / "p.json").write_bytes(data)
    with pytest.raises(IntegrityError, match="this pin is damaged") as caught:
        pins.pins(home)
    assert "nothing is collected" in caught.value.remedy
