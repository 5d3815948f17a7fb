"""A damaged database never yields a wrong value, is set aside where it must be, and serves again."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from coopery.cache import Record
from coopery.errors import CacheError
from coopery.leases import Outcome
from coopery.stores.quarantine import set_aside
from coopery.stores.sqlite import SqliteCache
from soak import rounds

pytestmark = pytest.mark.slow  # left out of make check: much of it waits, or goes through many cases

NAMES = [f"key {number}" for number in range(40)]


def record(name: str, generation: int = 1) -> Record:
    body = {"text": f"{name} {generation} " * 40, "number": generation}
    return Record("resolution", name, generation, body, "user@host", 1_700_000_000.5)


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    """A database with 40 names, every fourth in three generations, and some leases."""
    path = tmp_path_factory.mktemp("sound") / "records.sqlite"
    cache = SqliteCache(path)
    for number, name in enumerate(NAMES):
        for generation in range(1, 4 if number % 4 == 0 else 2):
            cache.put(record(name, generation), generation - 1)
        lease = cache.acquire(name, "owner", 60).lease
        assert lease is not None
        if number % 2:
            cache.release(lease, Outcome("done", lease.token))
    cache.close()
    return path


def newest(number: int) -> int:
    return 3 if number % 4 == 0 else 1


def examine(path: Path) -> tuple[int, list[str]]:
    """Read and write everything; returns how many newest records are left, and what people were told."""
    told: list[str] = []
    cache = SqliteCache(path, told.append)
    left = 0
    for number, name in enumerate(NAMES):
        got = cache.get("resolution", name)
        assert got in (None, record(name, newest(number)))
        left += got is not None
        assert cache.get("resolution", name, 1) in (None, record(name, 1))
    for listed in cache.list("resolution"):
        assert listed == record(listed.name, newest(NAMES.index(listed.name)))
    for name in NAMES[:4]:
        claim = cache.acquire(name, "me", 60)
        assert claim.lease is not None or claim.holder == "owner"
    # Whatever happened, the store serves: what is absent can be put, what is there is the winner.
    for number, name in enumerate(NAMES[:8]):
        assert cache.put(record(name), 0) in (record(name), record(name, newest(number)))
    assert cache.put(record("new"), 0) == record("new")
    assert SqliteCache(path).get("resolution", "new") == record("new")
    cache.close()
    return left, told


def damaged(sound: Path, folder: Path, damage) -> Path:
    """A copy of *sound* and of its leases, each damaged."""
    for old in folder.iterdir():
        old.unlink()
    for file in sound.parent.iterdir():
        data = bytearray(file.read_bytes())
        damage(data)
        (folder / file.name).write_bytes(data)
    return folder / sound.name


def flip(seed: int):
    def damage(data: bytearray) -> None:
        rng = random.Random(seed)
        # A third of the flips goes where every bit counts: the file's and the pages' headers.
        at = rng.choice([rng.randrange(len(data)), rng.randrange(len(data)), rng.randrange(200)])
        data[at] ^= 1 << rng.randrange(8)

    return damage


def truncate(seed: int):
    def damage(data: bytearray) -> None:
        del data[random.Random(seed).randrange(len(data)) :]

    return damage


def zero_page(seed: int):
    def damage(data: bytearray) -> None:
        page = random.Random(seed).randrange(len(data) // 4096) if seed else 0
        data[page * 4096 : (page + 1) * 4096] = bytes(4096)

    return damage


def test_a_sound_database_is_left_alone(sound, tmp_path):
    left, told = examine(damaged(sound, tmp_path, lambda _data: None))
    assert (left, told) == (len(NAMES), [])
    assert not list(tmp_path.glob("*corrupt*"))


@pytest.mark.parametrize(
    ("damage", "count"),
    [
        pytest.param(flip, 25, id="flips"),
        pytest.param(truncate, 5, id="truncations"),
        pytest.param(zero_page, 3, id="zeroed"),
        pytest.param(flip, rounds(200, 500), id="flips-long", marks=pytest.mark.slow),
        pytest.param(truncate, rounds(50, 100), id="truncations-long", marks=pytest.mark.slow),
        pytest.param(zero_page, rounds(10, 20), id="zeroed-long", marks=pytest.mark.slow),
    ],
)
def test_damage_never_yields_a_wrong_value(sound, tmp_path, damage, count):
    lost = aside = 0
    for seed in range(count):
        left, told = examine(damaged(sound, tmp_path, damage(seed)))
        lost += left < len(NAMES)
        aside += any(tmp_path.glob("*corrupt*"))
        assert left == len(NAMES) or told, f"seed {seed}: records were lost and nobody was told"
    assert lost, "no damage hit anything: this test shows nothing"
    assert aside, "nothing was set aside: this test shows nothing"


@pytest.mark.parametrize("kind", [b"resoluTion", b"reso\xacution", b"zesolution"])
def test_a_record_under_a_damaged_kind_is_told_by_a_list(sound, tmp_path, kind):
    """Nobody asks for it any more, so that no seal is compared: SQLite goes by where a row stands."""

    def damage(data: bytearray) -> None:
        data[:] = data.replace(b"resolutionkey 39{", kind + b"key 39{")

    told: list[str] = []
    cache = SqliteCache(damaged(sound, tmp_path, damage), told.append)
    assert cache.get("resolution", "key 39") is None
    assert told == []
    assert "key 39" not in [one.name for one in cache.list("resolution")]
    assert len(told) == 1
    assert "absent" in told[0]
    cache.close()


def test_a_schema_that_is_no_text_is_set_aside(sound, tmp_path):
    """SQLite quotes it in its message, which Python then cannot read."""

    def damage(data: bytearray) -> None:
        data[:] = data.replace(b"tablerecords_1", b"table\xa0ecords_1", 1).replace(
            b"CREATE TABLE rec", b"CREATE TABLE \xa0(c", 1
        )

    told: list[str] = []
    cache = SqliteCache(damaged(sound, tmp_path, damage), told.append)
    assert cache.get("resolution", "key 39") is None
    assert len(told) == 1
    assert cache.put(record("key 39"), 0) == record("key 39")
    cache.close()


def test_garbage_is_set_aside(tmp_path):
    path = tmp_path / "records.sqlite"
    path.write_bytes(b"garbage" * 1000)
    told: list[str] = []
    cache = SqliteCache(path, told.append)
    assert cache.get("resolution", "key") is None
    (aside,) = tmp_path.iterdir()
    assert aside.name.startswith("records.sqlite.corrupt-")
    assert aside.read_bytes() == b"garbage" * 1000
    assert len(told) == 1
    assert aside.name in told[0]
    assert cache.put(record("key"), 0) == record("key")


def test_a_journal_goes_with_its_database(tmp_path):
    path = tmp_path / "records.sqlite"
    for suffix in ("", "-journal", "-wal"):
        Path(f"{path}{suffix}").write_text(suffix)
    inode = path.stat().st_ino
    aside = set_aside(path, inode)
    assert aside is not None
    assert {found.name: found.read_text() for found in tmp_path.iterdir()} == {
        f"{aside.name}{suffix}": suffix for suffix in ("", "-journal", "-wal")
    }
    path.write_text("a new one")
    assert set_aside(path, inode) is None
    assert path.read_text() == "a new one"
    again = set_aside(path, path.stat().st_ino)
    assert again not in (None, aside)


def test_two_that_find_damage_set_aside_one_database(tmp_path):
    path = tmp_path / "records.sqlite"
    first, second = SqliteCache(path), SqliteCache(path)
    first.put(record("old"), 0)
    assert second.get("resolution", "old") == record("old")
    data = bytearray(path.read_bytes())
    data[24:28] = b"\xff" * 4  # the file change counter: what both hold in memory is out of date
    data[100:] = b"\xff" * (len(data) - 100)
    path.write_bytes(data)
    assert first.get("resolution", "old") is None
    assert first.put(record("new"), 0) == record("new")
    assert second.get("resolution", "new") == record("new")
    assert second.put(record("more"), 0) == record("more")
    assert len(list(tmp_path.glob("*corrupt*"))) == 1


def test_a_database_that_vanishes_is_made_anew(tmp_path):
    path = tmp_path / "home" / "records.sqlite"
    cache = SqliteCache(path)
    cache.put(record("old"), 0)
    shutil.rmtree(path.parent)
    assert cache.get("resolution", "old") is None
    assert cache.put(record("new"), 0) == record("new")
    assert SqliteCache(path).get("resolution", "new") == record("new")


def test_a_damaged_newest_record_is_not_replaced_by_an_older_one(tmp_path):
    path = tmp_path / "records.sqlite"
    told: list[str] = []
    cache = SqliteCache(path, told.append)
    cache.put(record("key"), 0)
    cache.put(record("key", 2), 1)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE records_1 SET data = replace(data, 'key 2', 'key 3')")
    connection.close()
    assert cache.get("resolution", "key") is None
    assert told == ["resolution 'key': its record is damaged and is taken for absent"]
    assert list(cache.list("resolution")) == []
    assert cache.put(record("key"), 0) == record("key")
    assert cache.get("resolution", "key", 2) is None


def test_a_record_under_another_name_is_not_believed(tmp_path):
    path = tmp_path / "records.sqlite"
    cache = SqliteCache(path)
    cache.put(record("honest"), 0)
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO records_1 SELECT kind, 'other', data, seal FROM records_1")
        connection.execute("INSERT INTO records_1 SELECT 'placement', name, data, seal FROM records_1")
    connection.close()
    assert cache.get("resolution", "other") is None
    assert cache.get("placement", "honest") is None
    assert [found.name for found in cache.list("resolution")] == ["honest"]


def test_a_damaged_lease_is_none(tmp_path):
    path = tmp_path / "records.sqlite"
    cache = SqliteCache(path)
    lease = cache.acquire("key", "me", 60).lease
    assert lease is not None
    with sqlite3.connect(tmp_path / "records-leases.sqlite") as connection:
        connection.execute("UPDATE leases_1 SET data = x'00'")
    connection.close()
    assert not cache.renew(lease, 60)
    again = cache.acquire("key", "you", 60).lease
    assert again is not None
    assert again.token > lease.token


def test_a_stranger_s_database_is_not_touched(tmp_path):
    path = tmp_path / "photos.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE photos (name)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    cache = SqliteCache(path)
    with pytest.raises(CacheError, match="not made by Coopery"):
        cache.get("resolution", "key")
    with pytest.raises(CacheError, match="not made by Coopery"):
        cache.put(record("key"), 0)
    cache.close()
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["photos.sqlite"]


def test_a_database_in_wal_mode_is_brought_back(tmp_path):
    path = tmp_path / "records.sqlite"
    SqliteCache(path).put(record("key"), 0)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
    connection.close()
    cache = SqliteCache(path)
    assert cache.get("resolution", "key") == record("key")
    cache.put(record("more"), 0)
    assert path.read_bytes()[18:20] == b"\x01\x01", "the header still says WAL"
