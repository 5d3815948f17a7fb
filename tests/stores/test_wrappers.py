"""Stores made of stores: layered, read-only, namespaces; and how URLs and builders ask for them."""

from __future__ import annotations

import pytest
from attrs import evolve

from coopery import Builder, Environment
from coopery.cache import Record, StoreAbilities
from coopery.errors import CacheError, UsageError
from coopery.stores import leases_of, open_cache
from coopery.stores.directory import DirectoryCache
from coopery.stores.layered import Layered
from coopery.stores.namespace import Namespace
from coopery.stores.readonly import ReadOnly
from coopery.testing import MemoryCache
from coopery.testing.memory import Shelf


def record(writer: str = "w", generation: int = 1, name: str = "key") -> Record:
    return Record("resolution", name, generation, {"by": writer}, writer, 1.5)


class Failing(MemoryCache):
    def put(self, record: Record, expected: int) -> Record:  # noqa: ARG002 - it fails for whatever it is given
        raise CacheError("the disk is full")


class Forgetful(MemoryCache):
    abilities = StoreAbilities(leases=False, history=False)

    def get(self, kind, name, generation=None):
        found = super().get(kind, name)
        return found if found is None or generation in (None, found.generation) else None


@pytest.fixture
def near() -> MemoryCache:
    return MemoryCache()


@pytest.fixture
def far() -> MemoryCache:
    return MemoryCache()


# --- layered ------------------------------------------------------------------------------------------


def test_what_is_found_there_is_kept_here_with_what_came_before(near, far):
    for generation in (1, 2):
        far.put(record(generation=generation), generation - 1)
    layered = Layered(near, far, notice=pytest.fail)
    assert layered.get("resolution", "key") == record(generation=2)
    assert [near.get("resolution", "key", n) for n in (1, 2)] == [record(), record(generation=2)]
    far.shelf.records.clear()
    assert layered.get("resolution", "key") == record(generation=2)


def test_the_last_that_can_be_written_decides(near, far):
    far.put(record("winner"), 0)
    assert Layered(near, far).put(record("late"), 0) == record("winner")
    assert near.get("resolution", "key") == record("winner")


def test_a_copy_that_disagrees_is_corrected(near, far):
    near.put(record("stranger"), 0)
    far.put(record("winner"), 0)
    assert Layered(near, far).put(record("w", 2), 1) == record("w", 2)
    assert [near.get("resolution", "key", n) for n in (1, 2)] == [record("winner"), record("w", 2)]


def test_a_copy_that_cannot_be_brought_up_to_date_knows_nothing(near):
    far = Forgetful()
    near.put(record(), 0)
    for generation in (1, 2, 3):
        far.put(record("far", generation), generation - 1)
    layered = Layered(near, far)
    assert layered.put(record("mine", 4), 3) == record("mine", 4)
    assert near.get("resolution", "key") is None
    assert layered.get("resolution", "key") == record("mine", 4)


def test_an_authority_that_forgot_is_told(near, far):
    layered = Layered(near, far)
    layered.put(record(), 0)
    far.shelf.records.clear()
    assert layered.put(record(generation=2), 1) == record(generation=2)
    assert [far.get("resolution", "key", n) for n in (1, 2)] == [record(), record(generation=2)]


def test_a_copy_that_fails_is_said_and_hurts_nobody(far):
    told: list[str] = []
    layered = Layered(Failing(), far, notice=told.append)
    assert layered.put(record(), 0) == layered.get("resolution", "key") == record()
    assert len(told) == 2
    assert "'key' was not copied" in told[0]
    assert "the disk is full" in told[0]


def test_what_is_only_read_is_looked_in_and_never_written(near, far):
    far.put(record("ci"), 0)
    layered = Layered(near, ReadOnly(far))
    assert layered.get("resolution", "key") == near.get("resolution", "key") == record("ci")
    assert layered.put(record("own", 2), 1) == record("own", 2)
    assert far.get("resolution", "key") == record("ci")
    assert [found.generation for found in layered.list("resolution")] == [2]
    assert layered.delete("resolution", "key")
    assert layered.get("resolution", "key") == record("ci")


def test_abilities_are_those_of_what_decides(near, far):
    assert Layered(near, far).abilities == StoreAbilities(leases=True)
    assert Layered(near, Forgetful()).abilities == StoreAbilities(leases=True, history=False)
    lone = Layered(ReadOnly(near), ReadOnly(far))
    assert (lone.abilities.writable, lone.abilities.leases) == (False, False)
    for attempt in (lambda: lone.put(record(), 0), lambda: lone.acquire("key", "me", 60)):
        with pytest.raises(CacheError, match=r"read-only|none of these stores has leases"):
            attempt()
    shared = Layered(Forgetful(), far)
    assert shared.acquire("key", "me", 60).lease is not None
    assert far.acquire("key", "other", 60).lease is None


# --- read-only, namespaces ----------------------------------------------------------------------------


def test_a_read_only_store_refuses_and_says_what_to_do(far):
    far.put(record(), 0)
    store = ReadOnly(far)
    assert store.get("resolution", "key") == record()
    assert list(store.list("resolution")) == [record()]
    for attempt in (lambda: store.put(record(generation=2), 1), lambda: store.delete("resolution", "key")):
        with pytest.raises(CacheError, match="used read-only") as caught:
            attempt()
        assert "readonly=true" in caught.value.remedy
    assert leases_of(store) is None


def test_namespaces_never_hit_each_other():
    shelf = Shelf()
    a, b, none = Namespace(MemoryCache(shelf), "a"), Namespace(MemoryCache(shelf), "b"), MemoryCache(shelf)
    for name in ("key", "b.key", "ns.b.key", ".key"):
        a.put(record("a", name=name), 0)
        assert (b.get("resolution", name), none.get("resolution", name)) == (None, None)
        assert not b.delete("resolution", name)
    assert list(b.list("resolution")) == []
    assert a.acquire("key", "me", 60).lease is not None
    assert b.acquire("key", "me", 60).lease is not None
    with pytest.raises(UsageError, match="namespace="):
        Namespace(none, "a.b")


# --- by URL, in builders ------------------------------------------------------------------------------


def test_urls_name_several_stores_and_what_may_be_done_with_them(tmp_path):
    shared = tmp_path / "shared folder"
    DirectoryCache(shared).put(record("ci"), 0)
    cache = open_cache(f"sqlite: directory:{shared}?readonly=true", tmp_path / "home")
    assert cache.get("resolution", "key") == record("ci")
    assert open_cache("sqlite:", tmp_path / "home").get("resolution", "key") == record("ci")
    cache.put(record("own", 2), 1)
    assert DirectoryCache(shared).get("resolution", "key") == record("ci")
    cache.close()
    team = open_cache("sqlite:?namespace=team", tmp_path / "home")
    assert team.get("resolution", "key") is None
    team.close()
    for url in ("sqlite:?readonly=yes", "sqlite:?namespace=../x", "directory:/a?namespace=a&mode=x"):
        with pytest.raises(UsageError):
            open_cache(url, tmp_path / "home")


def test_a_builder_keeps_records_here_and_leases_there(tmp_path):
    (tmp_path / "data").write_text("data")
    environment = Environment.from_dict({"base": "scratch", "steps": [{"copy": "data", "to": "/data"}]}, tmp_path)
    claims: list[str] = []

    class Counting(MemoryCache):
        def acquire(self, name, owner, ttl):
            claims.append(name)
            return super().acquire(name, owner, ttl)

    cache = f"directory:{tmp_path}/shared"
    with Builder(home=tmp_path / "home", cache=cache, leases=Counting()) as builder:
        built = builder.build(environment)
        assert builder.build(environment) == evolve(built, hit=True)
        assert len(claims) == 1
    assert [found.name for found in DirectoryCache(tmp_path / "shared").list("resolution")] == [built.key]
    assert not (tmp_path / "shared" / "lease-1").exists()
    with Builder(home=tmp_path / "home", cache=cache, leases=f"directory:{tmp_path}/leases") as builder:
        builder.build(environment, rebuild=True)
    assert (tmp_path / "leases" / "lease-1").is_dir()
    leaseless = Builder(home=tmp_path / "other", leases="sqlite:?readonly=true")
    with leaseless as builder, pytest.raises(UsageError, match="has no leases"):
        builder.build(environment)
