"""Whose a directory store is: one user's, or a group's; and what attackers reach."""

from __future__ import annotations

import os
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from coopery.cache import Record
from coopery.errors import CacheError
from coopery.stores import open_cache
from coopery.stores.custody import Group
from coopery.stores.directory import DirectoryCache

pytestmark = pytest.mark.slow  # left out of make check: much of it waits, or goes through many cases

GROUP, ADA, BOB, EVE = 60_000, 60_001, 60_002, 60_003
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")


def record(writer: str = "user@host", generation: int = 1) -> Record:
    return Record("resolution", "key", generation, {"by": writer}, writer, 1.5)


def modes(top: Path) -> set[tuple[str, int]]:
    found = [top, *top.rglob("*")]
    return {("folder" if path.is_dir() else "file", stat.S_IMODE(path.lstat().st_mode)) for path in found}


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
@pytest.mark.parametrize(("mode", "expected"), [("private", (0o700, 0o600)), ("group", (0o3770, 0o640))])
def test_what_is_made_has_its_mode_whatever_the_umask(tmp_path, umask, mode, expected):
    old = os.umask(umask)
    try:
        cache = open_cache(f"directory:{tmp_path}/top?mode={mode}", tmp_path)
        cache.put(record(), 0)
        cache.acquire("key", "me", 60)
    finally:
        os.umask(old)
    assert modes(tmp_path / "top") == {("folder", expected[0]), ("file", expected[1])}


def test_a_folder_that_others_may_write_is_refused(tmp_path):
    (tmp_path / "top").mkdir()
    for mode in (0o770, 0o702):
        (tmp_path / "top").chmod(mode)
        for attempt in (lambda cache: cache.get("resolution", "key"), lambda cache: cache.put(record(), 0)):
            with pytest.raises(CacheError, match="others may write here"):
                attempt(DirectoryCache(tmp_path / "top"))


@pytest.mark.parametrize("mode", [0o770, 0o2770, 0o3775])
def test_a_group_s_folder_is_setgid_and_sticky_and_closed_to_others(tmp_path, mode):
    (tmp_path / "top").mkdir()
    (tmp_path / "top").chmod(mode)
    with pytest.raises(CacheError, match=r"chmod 3770"):
        open_cache(f"directory:{tmp_path}/top?mode=group", tmp_path).get("resolution", "key")


def test_links_are_refused_at_every_step(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o700)
    DirectoryCache(tmp_path / "top").put(record(), 0)
    entry = next(path for path in (tmp_path / "top").rglob("1"))
    for path in (entry, entry.parent, entry.parent.parent, entry.parent.parent.parent, tmp_path / "top"):
        kept = path.with_name("kept")
        path.rename(kept)
        path.symlink_to(kept)
        with pytest.raises(CacheError, match="symlink"):
            DirectoryCache(tmp_path / "top").get("resolution", "key")
        path.unlink()
        path.symlink_to(outside)
        with pytest.raises(CacheError, match="symlink"):
            DirectoryCache(tmp_path / "top").put(record(generation=2), 1)
        path.unlink()
        kept.rename(path)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    "seconds", [pytest.param(0.7, id="short"), pytest.param(10.0, id="long", marks=pytest.mark.slow)]
)
def test_swapping_links_reaches_nothing_outside(tmp_path, seconds):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "1").write_text("untouched")
    DirectoryCache(tmp_path / "top").put(record(), 0)
    folder = next(path for path in (tmp_path / "top").rglob("1")).parent
    stop = threading.Event()

    def attack() -> None:
        while not stop.is_set():
            for path in (folder, folder.parent):
                with suppress(OSError):
                    path.rename(tmp_path / "away")
                    path.symlink_to(outside)
                    path.unlink()
                    (tmp_path / "away").rename(path)

    attacker = threading.Thread(target=attack)
    attacker.start()
    tried = 0
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            tried += 1
            cache = DirectoryCache(tmp_path / "top")
            with suppress(CacheError):
                found = cache.get("resolution", "key")
                cache.put(record(generation=found.generation + 1 if found else 1), found.generation if found else 0)
    finally:
        stop.set()
        attacker.join()
    assert tried > 10
    assert [path.name for path in outside.iterdir()] == ["1"]
    assert (outside / "1").read_text() == "untouched"


@needs_root
def test_what_belongs_to_somebody_else_is_refused(tmp_path):
    top = tmp_path / "top"
    DirectoryCache(top).put(record(), 0)
    for path in [*(path for path in top.rglob("*")), top]:
        os.chown(path, ADA, -1)
        for attempt in (lambda cache: cache.get("resolution", "key"), lambda cache: cache.put(record(generation=2), 1)):
            with pytest.raises(CacheError, match=f"belongs to user {ADA}"):
                attempt(DirectoryCache(top))
        os.chown(path, 0, -1)


# --- a group ------------------------------------------------------------------------------------------


@pytest.fixture
def team(open_folder, child):
    """Runs work as a member of a group, or as somebody else, on the group's store."""
    top = open_folder / "top"
    top.mkdir()
    os.chown(top, ADA, GROUP)
    top.chmod(0o3770)

    def run(uid: int, work):
        def become():
            os.setgroups([GROUP] if uid != EVE else [])
            os.setgid(uid)
            os.setuid(uid)
            os.umask(0o077)
            try:
                return work(open_cache(f"directory:{top}?mode=group", open_folder, notice=lambda _text: None))
            except CacheError as exc:
                return str(exc)

        return child(become)

    run.top = top
    return run


def lax(top: Path) -> DirectoryCache:
    """As somebody uses it who does not ask whether he may."""

    class Lax(Group):
        def believes(self, top, path, found):  # noqa: ARG002 - that is the point
            return True

        def check_writer(self, top):
            pass

    return DirectoryCache(top, custody=Lax())


def writes(cache) -> str:
    found = cache.get("resolution", "key")
    mine = record(f"{os.geteuid()}", found.generation + 1 if found else 1)
    return cache.put(mine, mine.generation - 1).writer


def reads(cache) -> list:
    found = cache.get("resolution", "key")
    return [] if found is None else [found.writer, found.generation]


@needs_root
def test_two_of_a_group_share_and_a_third_gets_nothing(team):
    assert team(ADA, writes) == f"{ADA}"
    assert team(BOB, reads) == [f"{ADA}", 1]
    assert team(BOB, writes) == f"{BOB}"
    assert team(ADA, reads) == [f"{BOB}", 2]
    assert "cannot be read or written" in team(EVE, reads)
    assert "cannot be read or written" in team(EVE, writes)
    assert team(ADA, lambda cache: cache.acquire("key", "ada", 60).lease is not None) is True
    assert team(BOB, lambda cache: cache.delete("resolution", "key")) is True
    assert team(ADA, reads) == []


@needs_root
def test_a_member_cannot_change_or_take_away_what_another_one_wrote(team):
    assert team(ADA, writes) == f"{ADA}"
    entry = next(path for path in team.top.rglob("1"))

    def attacks(_cache) -> list[str]:
        failed = []
        for attempt in (lambda: entry.write_bytes(b"x"), entry.unlink, lambda: entry.rename(entry.with_name("9"))):
            try:
                attempt()
            except PermissionError as exc:
                failed.append(type(exc).__name__)
        return failed

    assert team(BOB, attacks) == ["PermissionError"] * 3


@needs_root
def test_where_writers_are_listed_the_others_are_not_believed(team):
    (team.top / "writers").write_text(f"{ADA}\n\n")
    os.chown(team.top / "writers", ADA, GROUP)
    (team.top / "writers").chmod(0o640)
    assert "is not among the 'writers'" in team(BOB, writes)
    assert team(ADA, writes) == f"{ADA}"
    assert team(BOB, lambda _cache: writes(lax(team.top))) == f"{BOB}"
    assert team(ADA, reads) == team(BOB, reads) == [f"{ADA}", 1]
    assert "is not among the 'writers'" in team(BOB, lambda cache: cache.delete("resolution", "key"))
    assert team(BOB, lambda _cache: lax(team.top).delete("resolution", "key")) is True
    assert "is not among the 'writers'" in team(BOB, lambda cache: str(cache.acquire("key", "bob", 60)))
    assert team(ADA, reads) == [f"{ADA}", 1]
    os.chown(team.top / "writers", BOB, GROUP)
    assert "not the folder owner's own" in team(ADA, reads)
