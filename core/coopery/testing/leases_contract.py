"""What leases must do. Subclass `LeasesContract`, write the fixture ``open_leases``, and run pytest."""

# ruff: noqa: S101 - asserts are what a kit is made of

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import ClassVar

import pytest

from coopery.leases import Claim, Lease, Leases, Outcome

OpenLeases = Callable[[], Leases]
LONG = 60.0


def held(claim: Claim) -> Lease:
    """The lease of *claim*, which must have been granted."""
    assert claim.lease is not None, f"refused: {claim.holder!r} holds it"
    return claim.lease


class LeasesContract:
    """Claims: one holder at a time; a silent one is replaced; a late one finds its lease lost and does no harm.

    The one fixture, ``open_leases``, returns a function: each call opens the same store anew, as another process would;
    each test starts with an empty store.

    Attributes:
        ttl: seconds that the tests let a lease live; raise it for a store on a slow wire.
        patience: seconds within which an expired lease must be granted to somebody who keeps asking.
    """

    ttl: ClassVar[float] = 0.3
    patience: ClassVar[float] = 5.0

    @pytest.fixture
    def open_leases(self) -> OpenLeases:
        """Write this one."""
        raise NotImplementedError("override the fixture open_leases: a function that opens the same store anew")

    def test_one_holder_at_a_time(self, open_leases: OpenLeases) -> None:
        """The second is told who holds it, and by which token; the holder itself is no exception."""
        first = open_leases()
        lease = held(first.acquire("key", "first", LONG))
        assert (lease.name, lease.owner) == ("key", "first")
        for other in (open_leases(), first):
            claim = other.acquire("key", "second", LONG)
            assert claim.lease is None
            assert (claim.holder, claim.token) == ("first", lease.token)

    def test_names_are_apart(self, open_leases: OpenLeases) -> None:
        """Different names never wait for each other."""
        leases = open_leases()
        names = ["key", "Key", "key ", "key/x", "ä", "k" * 512]
        assert [held(leases.acquire(name, "me", LONG)).name for name in names] == names

    def test_threads_have_one_holder(self, open_leases: OpenLeases) -> None:
        """Of many that claim at once exactly one succeeds."""
        leases = open_leases()
        claims: list[Claim] = []
        gate = threading.Barrier(8)

        def claim(own: Leases, number: int) -> None:
            gate.wait()
            claims.append(own.acquire("key", f"claimant {number}", LONG))

        threads = [
            threading.Thread(target=claim, args=(open_leases() if n % 2 else leases, n)) for n in range(gate.parties)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(claims) == gate.parties
        assert sum(claim.lease is not None for claim in claims) == 1

    def test_release_lets_the_next_one_in(self, open_leases: OpenLeases) -> None:
        """At once, with a greater token."""
        leases = open_leases()
        first = held(leases.acquire("key", "first", LONG))
        leases.release(first, Outcome("done", first.token))
        second = held(open_leases().acquire("key", "second", LONG))
        assert second.token > first.token

    def test_waiters_see_the_outcome(self, open_leases: OpenLeases) -> None:
        """Nothing while it is held; afterwards all of it, also once somebody else holds the name."""
        leases, waiter = open_leases(), open_leases()
        lease = held(leases.acquire("key", "first", LONG))
        token = waiter.acquire("key", "second", LONG).token
        assert waiter.outcome("key", token) is None
        left = Outcome("failed", lease.token, {"types": ["X"], "message": "ä\n", "log": "", "fields": {"n": 1}})
        leases.release(lease, left)
        assert waiter.outcome("key", token) == left
        assert waiter.outcome("key", token + 1) is None
        assert open_leases().acquire("key", "third", LONG).outcome == left
        assert waiter.outcome("key", token) == left

    def test_an_unknown_name_has_no_outcome(self, open_leases: OpenLeases) -> None:
        """Asking changes nothing."""
        assert open_leases().outcome("key", 0) is None
        held(open_leases().acquire("key", "me", LONG))

    def test_a_silent_holder_is_replaced(self, open_leases: OpenLeases) -> None:
        """After its time to live as the waiter saw it, and not before; its lease is lost then."""
        silent, waiter = open_leases(), open_leases()
        lease = held(silent.acquire("key", "silent", self.ttl))
        started = time.monotonic()
        taken = self._expire(waiter)
        assert time.monotonic() - started >= self.ttl
        assert taken.token > lease.token
        assert not silent.renew(lease, self.ttl)

    def test_an_observer_who_never_saw_it_waits_in_full(self, open_leases: OpenLeases) -> None:
        """How long the lease has been silent before somebody first looks counts for nothing: clocks are not shared."""
        held(open_leases().acquire("key", "silent", self.ttl))
        time.sleep(self.ttl * 1.5)
        assert open_leases().acquire("key", "late", LONG).lease is None

    def test_renewing_keeps_it(self, open_leases: OpenLeases) -> None:
        """For as long as it goes on."""
        holder, waiter = open_leases(), open_leases()
        lease = held(holder.acquire("key", "holder", self.ttl))
        end = time.monotonic() + self.ttl * 3
        while time.monotonic() < end:
            assert holder.renew(lease, self.ttl)
            assert waiter.acquire("key", "waiter", self.ttl).lease is None
            time.sleep(self.ttl / 10)

    def test_a_late_holder_does_no_harm(self, open_leases: OpenLeases) -> None:
        """It cannot renew, and its release neither frees the name nor leaves word."""
        silent, waiter = open_leases(), open_leases()
        lost = held(silent.acquire("key", "silent", self.ttl))
        taken = self._expire(waiter)
        assert not silent.renew(lost, LONG)
        silent.release(lost, Outcome("failed", lost.token))
        assert open_leases().acquire("key", "third", LONG).lease is None
        assert waiter.outcome("key", lost.token) is None
        assert waiter.renew(taken, LONG)

    def test_a_released_lease_is_over(self, open_leases: OpenLeases) -> None:
        """It can be released again without effect, and never be renewed."""
        leases = open_leases()
        lease = held(leases.acquire("key", "me", LONG))
        leases.release(lease, Outcome("done", lease.token))
        assert not leases.renew(lease, LONG)
        leases.release(lease, Outcome("failed", lease.token))
        assert open_leases().outcome("key", lease.token) == Outcome("done", lease.token)

    def _expire(self, leases: Leases) -> Lease:
        """Claim as somebody who waits for a silent holder does; it must succeed soon after the time to live."""
        end = time.monotonic() + self.ttl + self.patience
        while time.monotonic() < end:
            claim = leases.acquire("key", "waiter", LONG)
            if claim.lease is not None:
                return claim.lease
            time.sleep(self.ttl / 10)
        raise AssertionError(f"not granted within {self.patience} s after {self.ttl} s without a sign of life")
