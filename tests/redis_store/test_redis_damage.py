"""What somebody has changed by hand in the server is a miss, and is said; what is put then counts again."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coopery.cache import Record
from coopery.errors import CacheError
from coopery.leases import Lease, Outcome
from coopery.testing import MemoryCache
from coopery_redis.address import parse
from coopery_redis.store import RedisCache

pytestmark = pytest.mark.needs("redis")

KEY = b"coopery:{tests}:record:resolution:key"
NAMES = b"coopery:{tests}:names:resolution"
LEASE = b"coopery:{tests}:lease:key"


def record(name: str = "key", generation: int = 1, text: str = "x") -> Record:
    return Record("resolution", name, generation, {"text": text}, "user@host", 1.5)


class Told:
    """A store, what it told people, and its server's own words."""

    def __init__(self, server: Any) -> None:
        self.said: list[str] = []
        self.store = RedisCache(parse(server.url()), self.said.append)
        self.ask = self.store._server.ask

    def words(self, *words: Any) -> Any:
        return self.ask(words)[0]


@pytest.fixture
def told(server):
    told = Told(server)
    yield told
    told.store.close()


def test_every_flipped_bit_is_a_miss(told):
    told.store.put(record(), 0)
    whole = told.words("HGET", KEY, "newest")
    chance = random.Random(14)
    for _ in range(300):
        place = chance.randrange(len(whole) * 8)
        bent = bytearray(whole)
        bent[place // 8] ^= 1 << place % 8
        told.words("HSET", KEY, "newest", bytes(bent))
        told.said.clear()
        assert told.store.get("resolution", "key") is None, f"bit {place}"
        assert len(told.said) == 1
    assert told.said == ["resolution 'key': its record is damaged and is taken for absent"]
    assert list(told.store.list("resolution")) == []


@pytest.mark.parametrize("length", range(0, 40, 7))
def test_every_truncation_is_a_miss(told, length):
    told.store.put(record(), 0)
    told.words("HSET", KEY, "newest", told.words("HGET", KEY, "newest")[:length])
    assert told.store.get("resolution", "key") is None


@pytest.mark.parametrize(
    "harm",
    [
        lambda told: told.words("HSET", KEY, "newest", b"1 nonsense"),
        lambda told: told.words("HSET", KEY, "newest", b""),
        lambda told: told.words("HDEL", KEY, "newest"),
        lambda told: (told.words("DEL", KEY), told.words("SET", KEY, b"text")),
        lambda told: (told.words("DEL", KEY), told.words("LPUSH", KEY, b"text")),
        lambda told: told.words("HSET", KEY, "newest", told.words("HGET", KEY, "1")),  # an old one in its place
    ],
)
def test_a_damaged_record_starts_anew(told, harm):
    for generation in (1, 2):
        told.store.put(record(generation=generation), generation - 1)
    harm(told)
    found = told.store.get("resolution", "key")
    expected = found.generation if found is not None else 0
    assert told.store.put(record(generation=expected + 1, text="new"), expected).body == {"text": "new"}
    assert told.store.get("resolution", "key").body == {"text": "new"}
    assert [one.name for one in told.store.list("resolution")] == ["key"]
    if not expected:
        assert told.store.get("resolution", "key", 2) is None


def test_what_was_deleted_behind_a_writer_s_back(told):
    told.store.put(record(), 0)
    told.words("DEL", KEY)
    with pytest.raises(CacheError, match="deleted meanwhile"):
        told.store.put(record(generation=2), 1)
    assert list(told.store.list("resolution")) == []


def test_a_value_that_was_moved_is_not_believed(told):
    told.store.put(record("other", text="other's"), 0)
    value = told.words("HGET", b"coopery:{tests}:record:resolution:other", "newest")
    told.words("HSET", KEY, "newest", value)
    assert told.store.get("resolution", "key") is None


def test_a_sealed_value_of_another_form_is_not_believed(told):
    from coopery.stores.rows import pack

    for document in ({"generation": 1}, {"generation": "1", "body": {}, "writer": "", "written": 0.0, "more": 1}):
        data, seal = pack(document, "resolution", "key")
        told.words("HSET", KEY, "newest", b"1 " + seal + data)
        assert told.store.get("resolution", "key") is None


@pytest.mark.parametrize("harm", [("DEL", NAMES), ("SET", NAMES, b"text")])
def test_a_lost_list_is_made_again_by_what_is_put(told, harm):
    told.store.put(record("a"), 0)
    told.words(*harm)
    assert list(told.store.list("resolution")) == []
    assert told.store.get("resolution", "a") == record("a")
    told.store.put(record("b"), 0)
    told.store.put(record("a", 2), 1)
    assert [one.name for one in told.store.list("resolution")] == ["a", "b"]
    assert told.store.delete("resolution", "a")


@pytest.mark.parametrize("name", ["a\0b", "\n", "", "coopery:{x}:", "}{", "\x7f", "\U0010ffff"])
def test_hostile_names(told, name):
    told.store.put(record(name), 0)
    assert told.store.get("resolution", name) == record(name)
    assert list(told.store.list("resolution", name)) == [record(name)]
    assert told.store.acquire(name, "me", 9.0).lease is not None
    assert told.store.delete("resolution", name)


def test_a_name_that_is_no_text_is_refused(told):
    for call in (
        lambda: told.store.get("resolution", "\ud800"),
        lambda: told.store.put(record("\ud800"), 0),
        lambda: told.store.delete("resolution", "\ud800"),
        lambda: list(told.store.list("resolution", "\ud800")),
        lambda: told.store.acquire("\ud800", "me", 1.0),
        lambda: told.store.outcome("\ud800", 0),
    ):
        with pytest.raises(CacheError, match="no name of a"):
            call()


def test_an_owner_that_is_no_text_is_shown_as_far_as_it_goes(told):
    assert told.store.acquire("key", "me\ud800", 9.0).lease is not None
    assert told.store.acquire("key", "other", 9.0).holder == "me?"


def test_a_long_list_is_read_in_pages(told):
    names = sorted(f"n{number:04}" for number in range(600))
    for name in names:
        told.store.put(record(name), 0)
    assert [one.name for one in told.store.list("resolution")] == names
    assert [one.name for one in told.store.list("resolution", "n02")] == names[200:300]


def test_namespaces_do_not_meet(open_store):
    one, other = open_store("one"), open_store("other")
    one.put(record(text="one's"), 0)
    lease = one.acquire("key", "one", 60.0).lease
    assert other.get("resolution", "key") is None
    assert list(other.list("resolution")) == []
    assert not other.delete("resolution", "key")
    assert other.put(record(text="other's"), 0).body == {"text": "other's"}
    assert other.acquire("key", "other", 60.0).lease is not None
    assert one.get("resolution", "key").body == {"text": "one's"}
    assert one.renew(lease, 60.0)


# --- leases ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "harm",
    [
        lambda told: (told.words("DEL", LEASE), told.words("SET", LEASE, b"text")),
        lambda told: told.words("HSET", LEASE, "token", b"many"),
        lambda told: told.words("HDEL", LEASE, "token"),
        lambda told: told.words("HSET", LEASE, "beat", b""),
        lambda told: told.words("HDEL", LEASE, "beat"),
    ],
)
def test_a_damaged_lease_is_none(told, harm):
    lease = told.store.acquire("key", "first", 60.0).lease
    harm(told)
    assert told.store.outcome("key", 0) is None
    second = told.store.acquire("key", "second", 60.0).lease
    assert second is not None
    assert second.token > lease.token
    assert not told.store.renew(lease, 60.0)
    told.store.release(lease, Outcome("done", lease.token))
    assert told.store.renew(second, 60.0)


@pytest.mark.parametrize("text", [b"", b"[]", b"7", b"{", b'{"state": "done"}', b'{"state": "x", "token": 1}'])
def test_a_damaged_outcome_is_none(told, text):
    lease = told.store.acquire("key", "me", 60.0).lease
    told.words("HSET", LEASE, "outcome", text)
    assert told.store.outcome("key", 0) is None
    assert told.store.acquire("key", "other", 60.0).token == lease.token


def test_a_time_to_live_that_is_damaged_is_over(told):
    told.store.acquire("key", "me", 60.0)
    told.words("HSET", LEASE, "ttl", b"long")
    assert told.store.acquire("key", "other", 60.0).lease is None
    assert told.store.acquire("key", "other", 60.0).lease is not None


def test_a_server_that_forgot_all_lets_the_holder_go_on(server, told):
    lease = told.store.acquire("key", "me", 60.0).lease
    server.command("FLUSHALL")
    assert told.store.renew(lease, 60.0)
    assert told.store.acquire("key", "other", 60.0).holder == "me"
    told.store.release(lease, Outcome("done", lease.token))
    assert told.store.outcome("key", lease.token) == Outcome("done", lease.token)


def test_a_server_that_forgot_all_gives_a_later_token(server, told):
    lease = told.store.acquire("key", "me", 60.0).lease
    server.command("FLUSHALL")
    taken = told.store.acquire("key", "other", 60.0).lease
    assert taken.token > lease.token
    assert not told.store.renew(lease, 60.0)


def test_what_came_to_life_is_not_taken_by_what_was_seen_before(server, open_store):
    now = [0.0]
    holder, waiter = open_store(), open_store(clock=lambda: now[0])
    lease = holder.acquire("key", "me", 10.0).lease
    assert waiter.acquire("key", "waiter", 10.0).lease is None
    now[0] = 11.0
    server.command("FLUSHALL")
    assert holder.renew(lease, 10.0)
    assert waiter.acquire("key", "waiter", 10.0).lease is None, "it shows signs of life"
    now[0] = 22.0
    assert waiter.acquire("key", "waiter", 10.0).lease is not None


def test_the_server_forgets_by_itself(told):
    lease = told.store.acquire("key", "me", 30.0).lease
    assert 115_000 < told.words("PTTL", LEASE) <= 120_000
    told.store.renew(lease, 60.0)
    assert 235_000 < told.words("PTTL", LEASE) <= 240_000
    told.store.release(lease, Outcome("done", lease.token))
    assert 3_500_000 < told.words("PTTL", LEASE) <= 3_600_000
    told.store.put(record(), 0)
    assert told.words("PTTL", KEY) == -1


def test_an_outcome_that_is_no_json_is_refused(told):
    lease = told.store.acquire("key", "me", 30.0).lease
    with pytest.raises(CacheError):
        told.store.release(lease, Outcome("failed", lease.token, {"x": object()}))
    assert json.loads(json.dumps({"held": told.store.acquire("key", "other", 1.0).holder})) == {"held": "me"}


# --- against the reference --------------------------------------------------------------------------

NAME = st.sampled_from(["a", "b", "ab"])
STEP = st.one_of(
    st.tuples(st.just("put"), NAME, st.integers(0, 3)),
    st.tuples(st.just("get"), NAME, st.one_of(st.none(), st.integers(0, 4))),
    st.tuples(st.just("delete"), NAME),
    st.tuples(st.just("list"), st.sampled_from(["", "a", "b"])),
    st.tuples(st.just("acquire"), NAME, st.sampled_from(["me", "you"])),
    st.tuples(st.just("renew"), NAME, st.booleans()),
    st.tuples(st.just("release"), NAME, st.booleans()),
    st.tuples(st.just("later"), st.sampled_from([4.0, 11.0])),
)


@given(steps=st.lists(STEP, max_size=25))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_does_as_the_reference_does(server, open_store, steps):
    server.command("FLUSHALL")
    now = [0.0]
    ours = _Run(open_store(clock=lambda: now[0]))
    reference = _Run(MemoryCache(clock=lambda: now[0]))
    for number, (verb, *words) in enumerate(steps):
        if verb == "later":
            now[0] += words[0]
        else:
            assert ours.do(verb, number, *words) == reference.do(verb, number, *words), steps[: number + 1]


class _Run:
    """One store's answers; tokens by their order, since where they start is each store's own."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.leases: dict[str, list[Lease]] = {}

    def do(self, verb: str, number: int, name: str, *words: Any) -> Any:
        return getattr(self, verb)(name, number, *words)

    def put(self, name: str, number: int, expected: int) -> Any:
        return _or_error(lambda: self.store.put(record(name, expected + 1, str(number)), expected))

    def get(self, name: str, _number: int, generation: int | None) -> Any:
        return self.store.get("resolution", name, generation)

    def delete(self, name: str, _number: int) -> Any:
        return self.store.delete("resolution", name)

    def list(self, prefix: str, _number: int) -> Any:
        return list(self.store.list("resolution", prefix))

    def acquire(self, name: str, _number: int, owner: str) -> Any:
        claim = self.store.acquire(name, owner, 10.0)
        if claim.lease is not None:
            self.leases.setdefault(name, []).append(claim.lease)
        return claim.lease is not None, claim.holder, claim.outcome and claim.outcome.state

    def renew(self, name: str, _number: int, newest: bool) -> Any:
        held = self.leases.get(name)
        return held and self.store.renew(held[-1 if newest else 0], 10.0)

    def release(self, name: str, number: int, newest: bool) -> Any:
        held = self.leases.get(name)
        if held:
            lease = held[-1 if newest else 0]
            self.store.release(lease, Outcome("failed" if number % 2 else "done", lease.token))
        left = self.store.outcome(name, 0)
        return left and (left.state, [lease.token for lease in held or ()].index(left.token))


def _or_error(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except CacheError:
        return "CacheError"
