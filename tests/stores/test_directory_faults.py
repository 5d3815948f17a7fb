"""The directory store when processes are killed, disks fail and bits flip."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from coopery import faults
from coopery.cache import Record
from coopery.errors import CacheError, StoreFull
from coopery.leases import Outcome
from coopery.stores.directory import DirectoryCache

pytestmark = pytest.mark.slow  # left out of make check: much of it waits, or goes through many cases

POINTS = sorted(point for point in faults.POINTS if point.startswith("slot-"))


def record(name: str = "key", generation: int = 1) -> Record:
    return Record("resolution", name, generation, {"text": f"{name} {generation} " * 40}, "user@host", 1.5)


@pytest.fixture(autouse=True)
def _no_faults():
    yield
    faults.configure("")


@pytest.mark.parametrize("point", ["record-put", *POINTS, "record-done"])
def test_killed_at_a_point(tmp_path, child, point):
    top = tmp_path / "top"
    DirectoryCache(top).put(record("before"), 0)

    def work() -> None:
        faults.configure(f"{point}:kill")
        DirectoryCache(top).put(record(), 0)

    for _ in range(2):
        assert child(work) == "SIGKILL"
        if point in ("slot-dirsync", "record-done"):  # then the name is made: the next one would find it
            break
    cache = DirectoryCache(top, pytest.fail)
    assert cache.get("resolution", "key") in (None, record())
    assert cache.put(record(), 0) == cache.get("resolution", "key") == record()
    assert cache.get("resolution", "before") == record("before")


@pytest.mark.parametrize("point", ["claim", "renew", "release", "slot-link"])
def test_a_holder_killed_at_a_point_is_replaced_at_once(tmp_path, child, point):
    def work() -> None:
        faults.configure(f"{point}:kill")
        leases = DirectoryCache(tmp_path / "top")
        lease = leases.acquire("key", "victim", 3600).lease
        assert lease is not None
        leases.renew(lease, 3600)
        leases.release(lease, Outcome("done", lease.token))

    for _ in range(2):
        assert child(work) == "SIGKILL"
    claim = DirectoryCache(tmp_path / "top").acquire("key", "next", 3600)
    assert claim.lease is not None
    assert claim.outcome is None


@pytest.mark.parametrize(("action", "error"), [("enospc", StoreFull), ("eio", CacheError)])
@pytest.mark.parametrize("point", POINTS)
def test_a_failing_disk_stores_nothing(tmp_path, point, action, error):
    """Also where only the folder could not be synced: what was not told to be stored is not found."""
    cache = DirectoryCache(tmp_path / "top")
    cache.put(record(), 0)
    faults.configure(f"{point}:{action}")
    with pytest.raises(error, match=str(tmp_path)):
        cache.put(record(generation=2), 1)
    faults.configure("")
    assert cache.get("resolution", "key") == record()
    assert cache.put(record(generation=2), 1) == record(generation=2)
    assert not list(tmp_path.rglob("new-*"))


@pytest.mark.parametrize("rounds", [pytest.param(40, id="short"), pytest.param(600, id="long", marks=pytest.mark.slow)])
def test_nothing_damaged_is_believed(tmp_path, rounds):
    sound = tmp_path / "sound"
    for name in ("a", "b"):
        for generation in (1, 2):
            DirectoryCache(sound).put(record(name, generation), generation - 1)
    DirectoryCache(sound).acquire("a", "owner", 3600)
    rng = random.Random(5)
    for number in range(rounds):
        top = tmp_path / f"{number}"
        shutil.copytree(sound, top)
        victim = rng.choice(sorted(path for path in top.rglob("*") if path.is_file()))
        _spoil(victim, rng)
        told: list[str] = []
        cache = DirectoryCache(top, told.append)
        for name in ("a", "b"):
            assert cache.get("resolution", name) in (None, record(name, 2))
            assert cache.get("resolution", name, 1) in (None, record(name, 1))
            newest = cache.get("resolution", name)
            again = record(name, newest.generation + 1 if newest else 1)
            assert cache.put(again, again.generation - 1) == cache.get("resolution", name) == again
        claim = cache.acquire("a", "me", 3600)
        assert claim.lease is not None or claim.holder == "owner"
        lost = "lease" not in str(victim)
        assert bool(told) == lost, victim
        shutil.rmtree(top)


def _spoil(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    match rng.choice(["flip", "cut", "empty", "zero"]):
        case "flip":
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        case "cut":
            data = data[: rng.randrange(len(data))]
        case "empty":
            data = bytearray()
        case "zero":
            data = bytearray(len(data))
    path.write_bytes(data)


def test_a_damaged_record_is_said_once_and_set_aside(tmp_path):
    told: list[str] = []
    cache = DirectoryCache(tmp_path / "top", told.append)
    cache.put(record(), 0)
    [path] = [path for path in tmp_path.rglob("1") if path.is_file()]
    path.write_bytes(b"junk")
    assert [cache.get("resolution", "key") for _ in range(3)] == [None] * 3
    assert told == ["resolution 'key': its record is damaged and is taken for absent"]
    assert path.with_name("damaged-1").read_bytes() == b"junk"
    assert cache.put(record(), 0) == record()


def test_an_entry_in_another_one_s_place_is_damage(tmp_path):
    cache = DirectoryCache(tmp_path / "top")
    cache.put(record("a"), 0)
    cache.put(record("b"), 0)
    cache.put(record("b", 2), 1)
    a, b = (next(path for path in tmp_path.rglob(name) if path.is_dir() and (path / "1").exists()) for name in "ab")
    shutil.copy(b / "1", a / "2")
    shutil.copy(b / "1", b / "3")
    assert (cache.get("resolution", "a"), cache.get("resolution", "b")) == (None, None)
