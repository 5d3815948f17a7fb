"""The kits, on the store that core ships and on the reference; and each broken twin of the reference found out."""

# ruff: noqa: ARG002 - a broken twin is broken by what it ignores

from __future__ import annotations

import inspect
import time
from typing import Any, ClassVar

import pytest
from attrs import evolve

from coopery.cache import Kind, Record
from coopery.leases import Claim, Lease, Outcome
from coopery.stores.custody import Group
from coopery.stores.directory import DirectoryCache
from coopery.stores.layered import Layered
from coopery.stores.namespace import Namespace
from coopery.stores.sqlite import SqliteCache
from coopery.testing import CacheContract, LeasesContract, MemoryCache
from coopery.testing.memory import Shelf

pytestmark = pytest.mark.slow  # left out of make check: much of it waits, or goes through many cases


class TestSqliteRecords(CacheContract):
    @pytest.fixture
    def open_cache(self, tmp_path):
        return lambda: SqliteCache(tmp_path / "home" / "records.sqlite")


class TestSqliteLeases(LeasesContract):
    @pytest.fixture
    def open_leases(self, tmp_path):
        return lambda: SqliteCache(tmp_path / "home" / "records.sqlite")


class TestDirectoryRecords(CacheContract):
    @pytest.fixture
    def open_cache(self, tmp_path):
        return lambda: DirectoryCache(tmp_path / "home" / "shared")


class TestDirectoryLeases(LeasesContract):
    @pytest.fixture
    def open_leases(self, tmp_path):
        return lambda: DirectoryCache(tmp_path / "home" / "shared")


class TestGroupRecords(CacheContract):
    @pytest.fixture
    def open_cache(self, tmp_path):
        return lambda: DirectoryCache(tmp_path / "shared", custody=Group(), namespace="Team")


class TestGroupLeases(LeasesContract):
    @pytest.fixture
    def open_leases(self, tmp_path):
        return lambda: DirectoryCache(tmp_path / "shared", custody=Group(), namespace="Team")


class TestNamespaceRecords(CacheContract):
    @pytest.fixture
    def open_cache(self):
        shelf = Shelf()
        return lambda: Namespace(MemoryCache(shelf), "team")


class TestNamespaceLeases(LeasesContract):
    @pytest.fixture
    def open_leases(self):
        shelf = Shelf()
        return lambda: Namespace(MemoryCache(shelf), "team")


class TestLayeredRecords(CacheContract):
    @pytest.fixture
    def open_cache(self, tmp_path):
        near, far = Shelf(), Shelf()
        return lambda: Layered(MemoryCache(near), MemoryCache(far), notice=pytest.fail)


class TestLayeredLeases(LeasesContract):
    @pytest.fixture
    def open_leases(self):
        near, far = Shelf(), Shelf()
        return lambda: Layered(MemoryCache(near), MemoryCache(far), notice=pytest.fail)


class TestMemoryRecords(CacheContract):
    @pytest.fixture
    def open_cache(self):
        shelf = Shelf()
        return lambda: MemoryCache(shelf)


class TestMemoryLeases(LeasesContract):
    @pytest.fixture
    def open_leases(self):
        shelf = Shelf()
        return lambda: MemoryCache(shelf)


class LastWriterWins(MemoryCache):
    def put(self, record: Record, expected: int) -> Record:
        newest = self.get(record.kind, record.name)
        return super().put(evolve(record, generation=expected + 1), newest.generation if newest else 0)


class CheckThenSet(MemoryCache):
    def put(self, record: Record, expected: int) -> Record:
        self.shelf.lock = _NoLock()  # type: ignore[assignment]
        newest = self.get(record.kind, record.name)
        if newest is None:
            time.sleep(0.01)
            self.shelf.records[record.kind, record.name] = [record]
            return record
        return super().put(record, expected)


class _NoLock:
    def __enter__(self) -> None: ...
    def __exit__(self, *_exc: object) -> None: ...


class LoserKeepsItsOwn(MemoryCache):
    def put(self, record: Record, expected: int) -> Record:
        super().put(record, expected)
        return record


class IgnoresKind(MemoryCache):
    def get(self, kind: Kind, name: str, generation: int | None = None) -> Record | None:
        return super().get("resolution", name, generation)


class FoldsCase(MemoryCache):
    def get(self, kind: Kind, name: str, generation: int | None = None) -> Record | None:
        found = {n.casefold().rstrip("xy"): n for k, n in self.shelf.records if k == kind}
        return super().get(kind, found.get(name.casefold().rstrip("xy"), name), generation)


class DropsHistory(MemoryCache):
    def get(self, kind: Kind, name: str, generation: int | None = None) -> Record | None:
        newest = super().get(kind, name)
        return newest if newest is None or generation in (None, newest.generation) else None


class OldestIsNewest(MemoryCache):
    def get(self, kind: Kind, name: str, generation: int | None = None) -> Record | None:
        kept = self.shelf.records.get((kind, name), [])
        return super().get(kind, name, generation) if generation or not kept else kept[0]


class ForgetsWriter(MemoryCache):
    def put(self, record: Record, expected: int) -> Record:
        stored = super().put(record, expected)
        if stored is record:
            kept = self.shelf.records[record.kind, record.name]
            kept[-1] = evolve(kept[-1], writer="")
        return stored


class DeletesOnlyTheNewest(MemoryCache):
    def delete(self, kind: Kind, name: str) -> bool:
        kept = self.shelf.records.get((kind, name), [])
        return bool(kept and kept.pop())


class ListsPattern(MemoryCache):
    def list(self, kind: Kind, prefix: str = "") -> Any:
        return super().list(kind, prefix.partition("%")[0])


class StoresAnything(MemoryCache):
    def put(self, record: Record, expected: int) -> Record:
        return super().put(evolve(record, body={key: str(value) for key, value in record.body.items()}), expected)


class FollowsWhatIsGone(MemoryCache):
    def put(self, record: Record, expected: int) -> Record:
        newest = self.get(record.kind, record.name)
        if newest is None:
            return super().put(evolve(record, generation=1), 0)
        return super().put(record, expected)


class ClosesForGood(MemoryCache):
    def close(self) -> None:
        self.shelf.records.clear()


class Private(MemoryCache):
    """Every user for itself."""

    def __init__(self, _shelf: Shelf) -> None:
        super().__init__()


class EachReaderItsOwn(MemoryCache):
    """Without compare-and-set, and without a rule for which of several counts."""

    readers: ClassVar[list[MemoryCache]] = []

    def put(self, record: Record, expected: int) -> Record:
        with self.shelf.lock:
            kept = self.shelf.records.setdefault((record.kind, record.name), [])
            kept.append(record)
        return record

    def get(self, kind: Kind, name: str, generation: int | None = None) -> Record | None:
        kept = self.shelf.records.get((kind, name), [])
        self.readers.append(self)
        return kept[len(self.readers) % len(kept)] if kept else None


RECORD_TWINS: dict[type[MemoryCache], set[str]] = {
    LastWriterWins: {"test_the_second_writer_gets_the_winner", "test_threads_have_one_winner"},
    CheckThenSet: {"test_threads_have_one_winner"},
    LoserKeepsItsOwn: {"test_the_second_writer_gets_the_winner"},
    IgnoresKind: {"test_kinds_are_apart"},
    FoldsCase: {"test_names_are_opaque"},
    DropsHistory: {"test_a_generation_replaces_the_one_before"},
    OldestIsNewest: {"test_a_generation_replaces_the_one_before"},
    ForgetsWriter: {"test_what_is_put_is_got"},
    DeletesOnlyTheNewest: {"test_delete_forgets_every_generation"},
    ListsPattern: {"test_list_gives_the_newest_of_each_name_in_order"},
    StoresAnything: {"test_a_body_that_is_no_json_is_refused"},
    FollowsWhatIsGone: {"test_a_generation_that_is_gone_cannot_be_followed"},
    ClosesForGood: {"test_close_may_be_called_twice"},
    EachReaderItsOwn: {"test_readers_converge"},
    Private: {"test_what_is_put_is_got"},
}


class TwoHolders(MemoryCache):
    def acquire(self, name: str, owner: str, ttl: float) -> Claim:
        super().acquire(name, owner, ttl)
        return Claim(Lease(name, self.shelf.leases[name].token, owner))


class OneNameForAll(MemoryCache):
    def acquire(self, name: str, owner: str, ttl: float) -> Claim:
        return super().acquire("all", owner, ttl)


class NeverExpires(MemoryCache):
    def _is_over(self, name: str, held: Any) -> bool:
        return False


class ExpiresAtOnce(MemoryCache):
    def _is_over(self, name: str, held: Any) -> bool:
        return super()._is_over(name, held) or name in self._seen


class TrustsAClockOfOthers(MemoryCache):
    born: ClassVar[dict[int, float]] = {}

    def _is_over(self, name: str, held: Any) -> bool:
        born = self.born.setdefault(id(held), time.monotonic() - held.ttl * 1.2)
        return held.ttl < 1 and time.monotonic() - born >= held.ttl


class RenewsForAnybody(MemoryCache):
    def renew(self, lease: Lease, ttl: float) -> bool:
        super().renew(lease, ttl)
        return True


class RenewsInWordsOnly(MemoryCache):
    def renew(self, lease: Lease, ttl: float) -> bool:
        return self._mine(lease) is not None


class ReleasesForAnybody(MemoryCache):
    def release(self, lease: Lease, outcome: Outcome) -> None:
        held = self.shelf.leases[lease.name]
        held.held, held.outcome = False, outcome


class SameTokenAgain(MemoryCache):
    def acquire(self, name: str, owner: str, ttl: float) -> Claim:
        claim = super().acquire(name, owner, ttl)
        self.shelf.leases[name].token = 1
        return evolve(claim, lease=claim.lease and evolve(claim.lease, token=1))


class ForgetsOutcomes(MemoryCache):
    def acquire(self, name: str, owner: str, ttl: float) -> Claim:
        claim = super().acquire(name, owner, ttl)
        if claim.lease:
            self.shelf.leases[name].outcome = None
        return claim


class NamelessHolder(MemoryCache):
    def acquire(self, name: str, owner: str, ttl: float) -> Claim:
        return evolve(super().acquire(name, owner, ttl), holder="")


class AskingClaims(MemoryCache):
    def outcome(self, name: str, after: int) -> Outcome | None:
        if name not in self.shelf.leases:
            super().acquire(name, "outcome", 60.0)
        return super().outcome(name, after)


LEASE_TWINS: dict[type[MemoryCache], set[str]] = {
    TwoHolders: {"test_one_holder_at_a_time", "test_threads_have_one_holder"},
    OneNameForAll: {"test_names_are_apart"},
    NeverExpires: {"test_a_silent_holder_is_replaced"},
    ExpiresAtOnce: {"test_one_holder_at_a_time"},
    TrustsAClockOfOthers: {"test_an_observer_who_never_saw_it_waits_in_full"},
    RenewsForAnybody: {"test_a_silent_holder_is_replaced", "test_a_late_holder_does_no_harm"},
    RenewsInWordsOnly: {"test_renewing_keeps_it"},
    ReleasesForAnybody: {"test_a_late_holder_does_no_harm", "test_a_released_lease_is_over"},
    SameTokenAgain: {"test_release_lets_the_next_one_in"},
    ForgetsOutcomes: {"test_waiters_see_the_outcome"},
    NamelessHolder: {"test_one_holder_at_a_time"},
    AskingClaims: {"test_an_unknown_name_has_no_outcome"},
}


@pytest.mark.parametrize("twin", RECORD_TWINS, ids=lambda twin: twin.__name__)
def test_each_broken_cache_is_found_out(twin):
    for name in RECORD_TWINS[twin]:
        assert _fails(CacheContract, name, twin), f"{name} passes on {twin.__name__}"


@pytest.mark.parametrize("twin", LEASE_TWINS, ids=lambda twin: twin.__name__)
def test_each_broken_lease_is_found_out(twin):
    for name in LEASE_TWINS[twin]:
        assert _fails(Hasty, name, twin), f"{name} passes on {twin.__name__}"


@pytest.mark.parametrize("kit", [CacheContract, LeasesContract])
def test_every_test_of_a_kit_has_a_twin_that_fails_it(kit):
    names = {name for name, _ in inspect.getmembers(kit, inspect.isfunction) if name.startswith("test_")}
    caught = set().union(*(RECORD_TWINS if kit is CacheContract else LEASE_TWINS).values())
    assert names - caught == ({"test_an_unknown_name_is_a_miss"} if kit is CacheContract else set())


def test_a_kit_without_its_fixture_says_what_to_write():
    with pytest.raises(NotImplementedError, match="override the fixture open_cache"):
        inspect.unwrap(CacheContract.open_cache)(CacheContract())


class Hasty(LeasesContract):
    ttl = 0.15
    patience = 0.3


def _fails(kit: type, name: str, twin: type[MemoryCache]) -> bool:
    """Whether the kit's test fails on *twin*, for at least one of its parameters."""
    test = getattr(kit, name)
    marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
    for values in marks[0].args[1] if marks else [None]:
        shelf = Shelf()
        arguments = () if values is None else (values,)
        try:
            test(kit(), lambda shelf=shelf: twin(shelf), *arguments)
        except (Exception, pytest.fail.Exception):
            return True
    return False
