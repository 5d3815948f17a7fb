"""What every cache store must do. Subclass `CacheContract`, write the fixture ``open_cache``, and run pytest."""

# ruff: noqa: S101 - asserts are what a kit is made of

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest

from coopery.cache import Cache, Record
from coopery.errors import CacheError

OpenCache = Callable[[], Cache]

_NAMES = (
    "a",
    "A",
    "a'b",
    'a"b',
    "a/b",
    "../a",
    "a@b",
    "a b",
    "a%b",
    "a_b",
    "a\\b",
    "a\nb",
    "ä",
    "日本",
    "🙂",
    "-",
    "x" * 512,
)
_BODY = {"text": "ä\n\0🙂", "empty": {}, "list": [1, -2, 2**53, 1.5, True, None, ["x"]], "": ""}


def record(name: str = "key", generation: int = 1, writer: str = "user@host") -> Record:
    """A record whose body names its writer, so that two of them differ."""
    return Record("resolution", name, generation, {**_BODY, "by": writer}, writer, 1_700_000_000.25)


class CacheContract:
    """Records: what is put is what is got; compare-and-set has one winner; what is damaged or absent is a miss.

    The one fixture, ``open_cache``, returns a function: each call opens the same store anew, as another process would;
    each test starts with an empty store.
    """

    @pytest.fixture
    def open_cache(self) -> OpenCache:
        """Write this one."""
        raise NotImplementedError("override the fixture open_cache: a function that opens the same store anew")

    def test_an_unknown_name_is_a_miss(self, open_cache: OpenCache) -> None:
        """A miss is None and no error, also for a generation, in a store that was never written to."""
        assert open_cache().get("resolution", "key") is None
        assert open_cache().get("resolution", "key", 1) is None
        assert not open_cache().delete("resolution", "key")

    def test_what_is_put_is_got(self, open_cache: OpenCache) -> None:
        """Every field comes back as it was, for another user too."""
        put = open_cache().put(record(), 0)
        assert put == record()
        assert open_cache().get("resolution", "key") == record()
        assert open_cache().get("resolution", "key", 1) == record()

    @pytest.mark.parametrize("name", _NAMES)
    def test_names_are_opaque(self, open_cache: OpenCache, name: str) -> None:
        """Any text is a name, and no two names meet."""
        cache = open_cache()
        cache.put(record("b"), 0)
        cache.put(record(name), 0)
        assert open_cache().get("resolution", name) == record(name)
        assert open_cache().get("resolution", name + "x") is None
        assert open_cache().get("resolution", name.swapcase() + "y") is None

    def test_kinds_are_apart(self, open_cache: OpenCache) -> None:
        """One name in two kinds is two records."""
        cache = open_cache()
        cache.put(record(), 0)
        assert cache.get("placement", "key") is None
        assert not cache.delete("placement", "key")
        assert cache.get("resolution", "key") == record()

    def test_the_second_writer_gets_the_winner(self, open_cache: OpenCache) -> None:
        """A put on a generation that has passed stores nothing and returns what is there."""
        first, late = record(writer="first"), record(writer="late")
        open_cache().put(first, 0)
        assert open_cache().put(late, 0) == first
        assert open_cache().get("resolution", "key") == first

    def test_a_generation_replaces_the_one_before(self, open_cache: OpenCache) -> None:
        """The newest is got; older ones stay where the store has history; one that was overtaken changes nothing."""
        cache = open_cache()
        for generation in (1, 2, 3):
            assert cache.put(record(generation=generation), generation - 1) == record(generation=generation)
        assert cache.put(record(generation=2, writer="late"), 1) == record(generation=3)
        assert open_cache().get("resolution", "key") == record(generation=3)
        assert open_cache().get("resolution", "key", 4) is None
        if cache.abilities.history:
            assert open_cache().get("resolution", "key", 1) == record(generation=1)
            assert open_cache().get("resolution", "key", 2) == record(generation=2)

    def test_a_generation_that_is_gone_cannot_be_followed(self, open_cache: OpenCache) -> None:
        """A writer that expects what was deleted, or skips a generation, is refused, and nothing is stored."""
        cache = open_cache()
        with pytest.raises(CacheError):
            cache.put(record(generation=2), 1)
        with pytest.raises(CacheError):
            cache.put(record(generation=3), 0)
        assert cache.get("resolution", "key") is None

    def test_a_body_that_is_no_json_is_refused(self, open_cache: OpenCache) -> None:
        """It is CacheError, and nothing is stored."""
        bodies: tuple[dict[str, object], ...] = ({"x": object()}, {"x": float("nan")}, {"x": b"bytes"})
        for body in bodies:
            with pytest.raises(CacheError):
                open_cache().put(Record("resolution", "key", 1, body), 0)
        assert open_cache().get("resolution", "key") is None

    def test_delete_forgets_every_generation(self, open_cache: OpenCache) -> None:
        """The name can be used anew afterwards."""
        cache = open_cache()
        cache.put(record(), 0)
        cache.put(record(generation=2), 1)
        assert cache.delete("resolution", "key")
        assert not open_cache().delete("resolution", "key")
        assert [open_cache().get("resolution", "key", n) for n in (None, 1, 2)] == [None, None, None]
        assert cache.put(record(writer="anew"), 0) == record(writer="anew")
        assert open_cache().get("resolution", "key", 2) is None

    def test_list_gives_the_newest_of_each_name_in_order(self, open_cache: OpenCache) -> None:
        """Names that begin with the prefix, literally, once each."""
        cache = open_cache()
        if not cache.abilities.list:
            pytest.skip("this store declares that it cannot list")
        names = ["ab", "a", "a%", "a%b", "aä", "b"]
        for name in names:
            cache.put(record(name), 0)
        cache.put(record("a%", 2), 1)
        assert [found.name for found in open_cache().list("resolution")] == sorted(names)
        assert [(found.name, found.generation) for found in open_cache().list("resolution", "a%")] == [
            ("a%", 2),
            ("a%b", 1),
        ]
        assert list(open_cache().list("resolution", "A")) == []
        assert list(open_cache().list("placement")) == []

    def test_threads_have_one_winner(self, open_cache: OpenCache) -> None:
        """Of many that put at once, one store and several, all get one and the same record."""
        cache = open_cache()
        if not cache.abilities.compare_and_set:
            pytest.skip("this store declares that it has no compare-and-set")
        for attempt in range(5):
            name = f"race {attempt}"
            puts = [
                (open_cache() if number % 2 else cache, record(name, writer=f"writer {number}")) for number in range(8)
            ]
            got = _all_at_once([partial(store.put, put, 0) for store, put in puts])
            winner = open_cache().get("resolution", name)
            assert winner in [put[1] for put in puts]
            assert got == [winner] * len(puts)

    def test_readers_converge(self, open_cache: OpenCache) -> None:
        """However many put at once: each gets a record that was put, and all who read afterwards get the same one."""
        cache = open_cache()
        for attempt in range(3):
            name = f"crowd {attempt}"
            puts = [
                (open_cache() if number % 2 else cache, record(name, writer=f"writer {number}")) for number in range(6)
            ]
            got = _all_at_once([partial(store.put, put, 0) for store, put in puts])
            strange = [one for one in got if one not in [put[1] for put in puts]]
            assert strange == []
            read = [open_cache().get("resolution", name) for _ in range(3)]
            assert read[0] in got
            assert read == [read[0]] * len(read)
            assert open_cache().put(record(name, writer="late"), 0) == read[0]

    def test_close_may_be_called_twice(self, open_cache: OpenCache) -> None:
        """Nothing that was put is lost by it."""
        cache = open_cache()
        cache.put(record(), 0)
        cache.close()
        cache.close()
        assert open_cache().get("resolution", "key") == record()


def _all_at_once(calls: list[Callable[[], Record]]) -> list[Record | Exception]:
    """What each of *calls* returned or raised, each in a thread of its own, started together."""
    results: list[Record | Exception] = [AssertionError("did not end")] * len(calls)
    gate = threading.Barrier(len(calls))

    def work(number: int, call: Callable[[], Record]) -> None:
        gate.wait()
        try:
            results[number] = call()
        except Exception as exc:
            results[number] = exc

    threads = [threading.Thread(target=work, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
