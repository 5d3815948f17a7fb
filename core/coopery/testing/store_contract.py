"""What a store and its leases promise together, to crowds of real processes.

Subclass `StorePromises` and write its fixture, or run ``pytest --coopery-store=URL``.
Each test names the promise whose short form it is (``docs/promises.md``). What a store does not declare is not asked of
it, and what it promises instead is: without compare-and-set at least one build, exactly one published.
"""

# ruff: noqa: S101, S311 - asserts are what a kit is made of, and what is chosen by chance here keeps no secret

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import pytest

from coopery.cache import Cache, Record
from coopery.errors import BuildError, CacheError
from coopery.flights.flight import Flight
from coopery.leases import Leases
from coopery.stores import leases_of
from coopery.stores.namespace import Namespace
from coopery.stores.readonly import ReadOnly
from coopery.testing.scene import Scene

OpenStore = Callable[[], Cache]


def record(name: str, writer: str = "user@host", generation: int = 1) -> Record:
    """A record whose body names its writer."""
    return Record("resolution", name, generation, {"by": writer}, writer, 1_700_000_000.25)


class StorePromises:
    """Promises 1, 5, 6, 7, 9, 14 to 16, 19 and 35, in their short form, on real processes.

    Fixtures: ``open_store`` is what an author writes: a function that opens the same store anew; each test starts with
    an empty one. ``leases`` may be overridden where they are in another store, ``damaged`` where the store's files can
    be reached.

    Attributes:
        processes: how large a crowd is; it has as many threads in each of them.
        ttl: seconds that the tests let a lease live.
    """

    processes: ClassVar[int] = 8
    ttl: ClassVar[float] = 1.0

    @pytest.fixture
    def open_store(self) -> OpenStore:
        """Write this one."""
        raise NotImplementedError("override the fixture open_store: a function that opens the same store anew")

    @pytest.fixture
    def leases(self, open_store: OpenStore) -> Leases | None:
        """Where it is agreed who builds: the store itself, if it has leases."""
        return leases_of(open_store())

    @pytest.fixture
    def damaged(self) -> Iterator[None] | None:
        """An iterator that bends one bit of the store's files for each step, and puts it right again; None: cannot."""
        return None

    @pytest.fixture
    def scene(self, tmp_path: Path, open_store: OpenStore, leases: Leases | None) -> Iterator[Scene]:
        """A crowd at the store."""
        made = Scene(tmp_path, open_store(), leases)
        yield made
        made.end()

    @pytest.fixture
    def leased(self, scene: Scene) -> Scene:
        """The same, where there are leases."""
        if scene.leases is None:
            pytest.skip("no leases: name a store that has them with --coopery-leases")
        return scene

    def test_01_one_missing_key_is_built_once(self, leased: Scene) -> None:
        """By a crowd of processes and threads; all get the same."""
        results = leased.crowd(self.processes, self.processes, "key", 0.5)
        assert results == [leased.recorded("key")] * self.processes**2
        assert (leased.noted("build"), leased.noted("published")) == (1, 1)

    def test_01_without_leases_readers_converge(self, tmp_path: Path, open_store: OpenStore) -> None:
        """All build at once, one in each process; exactly one is what everybody gets from then on."""
        scene = Scene(tmp_path, open_store())
        scene.leases = None
        results = scene.crowd(self.processes, 2, "key", 0.0, together=self.processes)
        settled = scene.recorded("key")
        assert settled in results
        assert scene.noted("build") == self.processes
        assert scene.crowd(2, 2, "key", 0.0) == [settled] * 4
        if scene.store.abilities.compare_and_set:
            assert results == [settled] * len(results), "compare-and-set: no caller got anything else"
            assert scene.noted("published") == 1

    def test_05_a_failure_is_shared(self, leased: Scene) -> None:
        """One attempt, the same error for all who waited; the next call tries again."""

        def fail(_guard: object) -> None:
            leased.note("attempt")
            time.sleep(0.3)
            raise BuildError("it does not compile")

        def work() -> str:
            flight = Flight(leased.leases, 30.0)
            try:
                flight.run(
                    "key", f"pid {os.getpid()}", lambda: None, fail, lambda holder: leased.note("waiting", holder)
                )
            except BuildError as exc:
                return exc.message
            return "no error"

        first = leased.start(work)
        leased.await_note("attempt")
        others = [leased.start(work) for _ in range(4)]
        assert [leased.result(pid) for pid in (first, *others)] == ["it does not compile"] * 5
        shared = leased.noted("attempt")
        assert shared == 1 + 4 - leased.noted("waiting"), "who waited got the error of the one who tried"
        assert leased.result(leased.start(work)) == "it does not compile"
        assert leased.noted("attempt") == shared + 1

    def test_06_a_killed_builder_is_replaced(self, leased: Scene) -> None:
        """Two builds, one published."""
        holder = leased.start(lambda: leased.in_threads(1, "key", 60, self.ttl))
        leased.await_note("build")
        waiters = [leased.start(lambda: leased.in_threads(2, "key", 0.1, self.ttl)) for _ in range(3)]
        leased.await_note("waiting", 3)
        os.kill(holder, signal.SIGKILL)
        assert leased.result(holder) == "SIGKILL"
        assert [one for pid in waiters for one in leased.result(pid)] == [leased.recorded("key")] * 6
        assert (leased.noted("build"), leased.noted("published")) == (2, 1)

    def test_07_a_builder_that_wakes_late_publishes_nothing(self, leased: Scene) -> None:
        """It was stopped for longer than its lease; what somebody else published stays."""
        if not leased.store.abilities.compare_and_set:
            pytest.skip("this store declares that it has no compare-and-set")
        holder = leased.start(lambda: leased.in_threads(1, "key", 0.3, 0.6))
        leased.await_note("build")
        os.kill(holder, signal.SIGSTOP)
        published = leased.result(leased.start(lambda: leased.in_threads(1, "key", 0.1, 0.6)))
        os.kill(holder, signal.SIGCONT)
        assert leased.result(holder) == published == [leased.recorded("key")]
        assert leased.noted("published") == 1

    def test_09_killed_at_random(self, scene: Scene) -> None:
        """Whenever a writer is killed, the next gets it done, and everybody gets the same."""
        chance = random.Random(9)
        for number in range(8):
            key = f"key {number}"
            doomed = scene.start(lambda key=key: scene.in_threads(2, key, 0.0, 0.3))  # type: ignore[misc]  # its default is its type
            time.sleep(chance.uniform(0, 0.1))
            with suppress(ProcessLookupError):
                os.kill(doomed, signal.SIGKILL)
            scene.result(doomed)
            assert scene.in_threads(2, key, 0.0, 0.3) == [scene.recorded(key)] * 2

    def test_14_19_nothing_damaged_is_believed(self, open_store: OpenStore, damaged: Iterator[None] | None) -> None:
        """Bits of the store's files flip: a record comes back as it was written, or not at all."""
        if damaged is None:
            pytest.skip("where the store's files are is not known: --coopery-store-files=DIR, which will be damaged")
        for number in range(10):
            open_store().put(record(f"key {number}"), 0)
        for _ in damaged:
            store = open_store()
            for number in range(10):
                with suppress(CacheError):  # that it cannot be read is no wrong answer
                    assert store.get("resolution", f"key {number}") in (None, record(f"key {number}"))
            store.close()

    def test_15_who_only_reads_gets_hits(self, open_store: OpenStore) -> None:
        """Hits come; a write is refused in words, and changes nothing."""
        open_store().put(record("key"), 0)
        reader = ReadOnly(open_store())
        assert reader.get("resolution", "key") == record("key")
        assert leases_of(reader) is None
        with pytest.raises(CacheError, match="read-only"):
            reader.put(record("other"), 0)
        assert open_store().get("resolution", "other") is None

    def test_16_what_is_kept_is_never_missing(self, open_store: OpenStore) -> None:
        """While other records come and go."""
        store = open_store()
        store.put(record("kept"), 0)
        done, missing = threading.Event(), []

        def read() -> None:
            own = open_store()
            while not done.is_set():
                if own.get("resolution", "kept") != record("kept"):
                    missing.append(True)

        reader = threading.Thread(target=read)
        reader.start()
        try:
            for number in range(20):
                store.put(record(f"gone {number}"), 0)
                with suppress(CacheError):  # a store need not be set up to delete
                    store.delete("resolution", f"gone {number}")
        finally:
            done.set()
            reader.join()
        assert missing == []

    def test_35_tenants_do_not_meet(self, open_store: OpenStore) -> None:
        """The same names in two namespaces: 0 cross hits, 0 names of the other's in a list."""
        one, other = (Namespace(open_store(), name) for name in ("one", "other"))
        for number in range(20):
            one.put(record(f"key {number}", "one"), 0)
        assert [other.get("resolution", f"key {number}") for number in range(20)] == [None] * 20
        other.put(record("key 0", "other"), 0)
        assert one.get("resolution", "key 0") == record("key 0", "one")
        if one.abilities.list:
            assert [found.writer for found in other.list("resolution")] == ["other"]
