"""One build per key among the threads of a process, and what happens where leases do not work."""

# ruff: noqa: ARG002 - broken stores are broken by what they ignore

from __future__ import annotations

import threading
import time

import pytest

from coopery.errors import CacheError, PackageError
from coopery.flights.flight import Flight, Guard, LeaseLost
from coopery.flights.heartbeat import Heartbeat
from coopery.leases import Claim, Lease, Outcome
from coopery.testing import MemoryCache
from coopery.testing.memory import Shelf

pytestmark = pytest.mark.slow  # left out of make check: much of it waits, or goes through many cases


class Desk:
    """Counts what is done."""

    def __init__(self, seconds: float = 0.1) -> None:
        self.looks = self.builds = 0
        self.made: object | None = None
        self.told: list[str] = []
        self._seconds = seconds

    def look(self) -> object | None:
        self.looks += 1
        return self.made

    def build(self, _guard: Guard) -> object:
        self.builds += 1
        time.sleep(self._seconds)
        self.made = object()
        return self.made

    def get(self, flight: Flight, build=None, waiting=None) -> object:
        return flight.run("key", "me", self.look, build or self.build, waiting or self.told.append)


def in_threads(count: int, work) -> list:
    results: list = [None] * count

    def run(number: int) -> None:
        try:
            results[number] = work()
        except Exception as exc:
            results[number] = exc

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.parametrize("leases", [None, MemoryCache()], ids=["no leases", "leases"])
def test_threads_share_one_flight(leases):
    desk, flight = Desk(0.3), Flight(leases)
    results = in_threads(50, lambda: desk.get(flight))
    assert results == [desk.made] * 50
    assert desk.builds == 1
    assert desk.looks <= 2, "each thread looked for itself"
    assert desk.get(flight) is desk.made
    assert desk.builds == 1


class Counting(MemoryCache):
    """Counts what is asked of the store."""

    asked = 0

    def acquire(self, name: str, owner: str, ttl: float) -> Claim:
        self.asked += 1
        return super().acquire(name, owner, ttl)

    def outcome(self, name: str, after: int) -> Outcome | None:
        self.asked += 1
        return super().outcome(name, after)


def test_a_waiting_process_asks_seldom_however_many_its_threads():
    shelf = Shelf()
    desk, counting = Desk(1.0), Counting(shelf)
    elsewhere = threading.Thread(target=lambda: desk.get(Flight(MemoryCache(shelf))))
    elsewhere.start()
    while not desk.builds:
        time.sleep(0.001)
    flight = Flight(counting)
    started = time.monotonic()
    results = in_threads(100, lambda: desk.get(flight))
    seconds = time.monotonic() - started
    elsewhere.join()
    assert results == [desk.made] * 100
    assert desk.builds == 1
    assert counting.asked <= 2 + seconds / 0.05


def test_a_failure_is_one_attempt_and_each_thread_has_its_own_error():
    desk, flight = Desk(), Flight(MemoryCache())
    attempts = []

    def fail(_guard: Guard) -> object:
        attempts.append(1)
        time.sleep(0.2)
        raise PackageError("numpy-1.conda", "is damaged", remedy="fetch it again")

    results = in_threads(20, lambda: desk.get(flight, build=fail))
    assert len(attempts) == 1
    assert {(type(error), str(error), error.package) for error in results} == {
        (PackageError, "numpy-1.conda: is damaged\n  fetch it again", "numpy-1.conda")
    }
    assert len({id(error) for error in results}) == 20
    assert desk.get(flight) is desk.made


def test_a_waiter_that_gives_up_hurts_nobody():
    shelf = Shelf()
    desk = Desk(0.5)
    elsewhere = threading.Thread(target=lambda: desk.get(Flight(MemoryCache(shelf))))
    elsewhere.start()
    while not desk.builds:
        time.sleep(0.001)
    flight = Flight(MemoryCache(shelf))
    tired = []

    def give_up(holder: str) -> None:
        if not tired:
            tired.append(holder)
            time.sleep(0.1)  # the others join this thread, which asks for all of them
            raise TimeoutError("tired of waiting")

    results = in_threads(10, lambda: desk.get(flight, waiting=give_up))
    elsewhere.join()
    assert [type(result) for result in results].count(TimeoutError) == 1
    assert [result for result in results if not isinstance(result, TimeoutError)] == [desk.made] * 9
    assert desk.builds == 1


def test_a_thread_that_is_interrupted_while_it_builds_is_replaced_by_another():
    desk, flight = Desk(), Flight(MemoryCache())
    interrupted: list[type] = []

    def interrupt(_guard: Guard) -> object:
        time.sleep(0.2)
        raise KeyboardInterrupt

    def first() -> None:
        try:
            desk.get(flight, build=interrupt)
        except KeyboardInterrupt as exc:
            interrupted.append(type(exc))

    leader = threading.Thread(target=first)
    leader.start()
    time.sleep(0.05)
    results = in_threads(5, lambda: desk.get(flight))
    leader.join()
    assert interrupted == [KeyboardInterrupt]
    assert desk.made is not None
    assert results == [desk.made] * 5
    assert desk.builds == 1


class Broken(MemoryCache):
    """Leases that cannot be asked."""

    def acquire(self, name: str, owner: str, ttl: float) -> Claim:
        raise CacheError("the store is read-only")


def test_leases_that_fail_cost_no_build():
    desk = Desk()
    guards: list[Guard] = []

    def build(guard: Guard) -> object:
        guards.append(guard)
        guard.check()
        return desk.build(guard)

    flight = Flight(Broken())
    results = in_threads(5, lambda: desk.get(flight, build=build))
    assert results == [desk.made] * 5
    assert len(guards) == 1
    assert str(guards[0].problem) == "the store is read-only"
    assert guards[0].lease is None


class FailsWhile(MemoryCache):
    """Renewing and releasing fail while ``failing``."""

    failing = True

    def renew(self, lease: Lease, ttl: float) -> bool:
        if self.failing:
            raise CacheError("disk full")
        return super().renew(lease, ttl)

    def release(self, lease: Lease, outcome: Outcome) -> None:
        raise CacheError("disk full")


def test_a_lease_that_cannot_be_released_does_not_spoil_the_build():
    desk = Desk()
    assert desk.get(Flight(FailsWhile())) is desk.made


def test_a_heartbeat_outlasts_a_short_failure_and_not_a_long_one():
    leases = FailsWhile()
    lease = leases.acquire("key", "me", 0.4).lease
    assert lease is not None
    with Heartbeat(leases, lease, 0.4) as guard:
        time.sleep(0.25)
        leases.failing = False
        time.sleep(0.4)
        guard.check()
        leases.failing = True
        assert guard.lost.wait(5)
    with pytest.raises(LeaseLost, match="key was lost"):
        guard.check()


def test_a_failure_is_passed_on_by_a_waiter_that_came_by_the_lease_first():
    leases = MemoryCache()
    first = leases.acquire("key", "first", 60).lease
    assert first is not None

    class Late(MemoryCache):
        """Sees the word of the first holder only with the lease itself, as when both come between two looks."""

        def outcome(self, name: str, after: int) -> Outcome | None:
            error = {
                "types": ["coopery.errors.PackageError"],
                "message": "x: no",
                "log": "l",
                "fields": {"package": "x"},
            }
            leases.release(first, Outcome("failed", first.token, error))
            return None

    desk = Desk()
    with pytest.raises(PackageError, match="x: no") as caught:
        desk.get(Flight(Late(leases.shelf)))
    assert (caught.value.package, caught.value.log) == ("x", "l")
    assert desk.builds == 0
    assert desk.get(Flight(leases)) is desk.made


def test_a_key_that_failed_to_look_is_free_again():
    flight = Flight(MemoryCache())
    desk = Desk()

    def broken() -> object:
        raise CacheError("the store is gone")

    with pytest.raises(CacheError):
        flight.run("key", "me", broken, desk.build)
    assert desk.get(flight) is desk.made
