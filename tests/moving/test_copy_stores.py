"""Records from store to store: all generations, by compare-and-set, and what differs is told and stays."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import evolve

from coopery import Environment
from coopery.cache import Cache, Record
from coopery.errors import CacheError
from coopery.moving import histories
from coopery.moving.histories import Wanted
from coopery.plugins import Plugins
from coopery.stores import open_cache
from coopery.stores.readonly import ReadOnly
from coopery.testing import MemoryCache
from moving.conftest import Machine
from real_postgresql import RealPostgresql
from real_redis import RealRedis

pytestmark = pytest.mark.slow  # left out of make check: much of it waits, or goes through many cases


@pytest.fixture
def built(here: Machine, define: Callable[..., Environment]) -> list[str]:
    """Three keys, one of them in two generations."""
    keys = [here.build(define(name, name)).key for name in ("a", "b", "c")]
    here.build(define("b", "b"), rebuild=True)
    return keys


def contents(cache: Cache) -> dict[tuple[str, str], histories.History]:
    """Everything in *cache* that a copy keeps."""
    found = [record for kind in ("resolution", "placement") for record in cache.list(kind)]  # type: ignore[arg-type]  # both are kinds
    return {(record.kind, record.name): histories.history(cache, record) for record in found}


def test_sqlite_into_a_folder_and_back(here: Machine, built: list[str], tmp_path: Path) -> None:
    shared, other = f"directory:{tmp_path}/shared", f"sqlite:{tmp_path}/other/records.sqlite"
    first = here.copy("home:", shared)
    assert (first.records, first.records_present) == (sum(map(len, in_store(here, "sqlite:"))), 0)
    assert set(first.keys) == set(built)
    here.copy(shared, other)
    with here.builder() as builder:
        right = contents(builder.cache)
    for url in (shared, other):
        with store(url, tmp_path) as cache:
            assert contents(cache) == right
    again = here.copy("home:", shared)
    assert (again.records, again.records_present) == (0, first.records)


@pytest.mark.needs("redis", "postgresql")
@pytest.mark.processes
def test_through_servers(here: Machine, built: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite → folder → Redis → PostgreSQL, by the example's plugin."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples" / "cache_store"))
    from coopery_postgresql.plugin import coopery_register_cache

    with here.builder() as builder:
        right = contents(builder.cache)
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are too deep for a socket
        Path(folder).chmod(0o755)
        Path(folder, "p").mkdir()
        redis, postgresql = RealRedis(Path(folder, "r"), durable=False), RealPostgresql(Path(folder, "p"))
        redis.start()
        postgresql.start()
        try:
            here.copy("home:", f"directory:{tmp_path}/shared")
            here.copy(f"directory:{tmp_path}/shared", redis.url())
            last = coopery_register_cache()(postgresql.url())
            with store(redis.url(), tmp_path) as first:
                assert contents(first) == right
                found = histories.read(first, Wanted())
                histories.merge(last, (*found, *histories.placements(first, found)))
            newest = {name: found if last.abilities.history else found[-1:] for name, found in right.items()}
            assert contents(last) == newest
            last.close()
        finally:
            redis.stop()
            postgresql.stop()


def test_a_longer_history_brings_a_shorter_one_up_to_date(
    here: Machine, define: Callable[..., Environment], tmp_path: Path
) -> None:
    shared = f"directory:{tmp_path}/shared"
    here.build(define())
    here.copy("home:", shared)
    here.build(define(), rebuild=True)
    assert here.copy("home:", shared).records >= 1
    back = here.copy(shared, "home:")
    assert (back.records, back.conflicts) == (0, ())


def test_histories_that_part_are_told_and_stay(here: Machine, define: Callable[..., Environment]) -> None:
    key = here.build(define()).key
    theirs, mine = MemoryCache(), MemoryCache()
    with here.builder() as builder:
        (found,) = histories.read(builder.cache, Wanted())
    histories.merge(theirs, [found])
    other = evolve(found[0], body={**found[0].body, "image": "sha256:" + "1" * 64})
    histories.merge(mine, [(other,)])
    merged = histories.merge(theirs, [(other, evolve(other, generation=2))])
    assert merged.written == 0
    (told,) = merged.conflicts
    assert key in told
    assert "was not copied" in told
    assert contents(theirs) == {("resolution", key): found}


def test_who_only_wrote_it_elsewhere_is_no_conflict(here: Machine, define: Callable[..., Environment]) -> None:
    here.build(define())
    with here.builder() as builder:
        (found,) = histories.read(builder.cache, Wanted())
    cache = MemoryCache()
    histories.merge(
        cache, [(evolve(found[0], writer="somebody@else", written=1.0, body={**found[0].body, "log": "x"}),)]
    )
    merged = histories.merge(cache, [found])
    assert (merged.written, merged.present, merged.conflicts) == (0, 1, ())


def test_a_history_with_a_hole_is_told() -> None:
    merged = histories.merge(MemoryCache(), [(Record("resolution", "k", 3, {"a": 1}),)])
    assert merged.written == 0
    assert "without those before it" in merged.conflicts[0]


class Racing(MemoryCache):
    """A store in which somebody else writes just before us, *times* times."""

    def __init__(self, others: list[Record]) -> None:
        super().__init__()
        self.others = others

    def put(self, record: Record, expected: int) -> Record:
        if self.others:
            super().put(self.others.pop(0), expected)
        return super().put(record, expected)


def test_a_writer_who_comes_between_wins() -> None:
    mine = Record("resolution", "k", 1, {"image": "mine"})
    cache = Racing([Record("resolution", "k", 1, {"image": "theirs"})])
    merged = histories.merge(cache, [(mine,)])
    assert (merged.written, len(merged.conflicts)) == (0, 1)
    assert cache.get("resolution", "k") == Record("resolution", "k", 1, {"image": "theirs"})


def test_a_writer_who_comes_between_with_the_same_is_no_conflict() -> None:
    mine = Record("resolution", "k", 1, {"image": "mine"}, "me")
    cache = Racing([evolve(mine, writer="them")])
    merged = histories.merge(cache, [(mine,)])
    assert (merged.written, merged.present, merged.conflicts) == (0, 1, ())


def test_a_store_that_is_only_read_refuses(here: Machine, built: list[str]) -> None:
    with here.builder() as builder:
        found = histories.read(builder.cache, Wanted())
        with pytest.raises(CacheError, match="read-only"):
            histories.merge(ReadOnly(MemoryCache()), found)


def test_a_store_into_a_bundle_into_a_store(here: Machine, built: list[str], tmp_path: Path) -> None:
    here.copy("sqlite:", tmp_path / "records.tar.zst")
    taken = here.copy(tmp_path / "records.tar.zst", f"directory:{tmp_path}/shared")
    assert set(taken.keys) == set(built)
    with here.builder() as builder, store(f"directory:{tmp_path}/shared", tmp_path) as cache:
        assert contents(cache) == contents(builder.cache)


class store:  # noqa: N801 - reads as the function that it stands for
    """The store of *url*, closed at the end."""

    def __init__(self, url: str, home: Path) -> None:
        self.cache = open_cache(url, home, registered=lambda: Plugins().caches().values())

    def __enter__(self) -> Cache:
        return self.cache

    def __exit__(self, *_exc: object) -> None:
        self.cache.close()


def in_store(machine: Machine, url: str) -> Iterator[histories.History]:
    with machine.builder() as builder:
        yield from contents(builder.cache).values()
