"""One build per key: among the threads of a process by a shared result, among processes by a lease.

A lease only saves work. That nobody ever gets a wrong or a second image rests on the compare-and-set of the record,
so that whatever is wrong with leases (none, lost, or a store that fails) costs at most a build done twice.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar, cast

from attrs import frozen

from coopery import failure
from coopery.cancel import Cancel, Cancelled
from coopery.errors import CacheError
from coopery.flights.heartbeat import Guard, Heartbeat, LeaseLost
from coopery.flights.together import Found, Together, Waiting
from coopery.leases import Claim, Lease, Leases, Outcome

__all__ = ["Flight", "Guard", "LeaseLost"]

T = TypeVar("T")
_SHORTEST: Final = 0.05
_LONGEST: Final = 0.2


class Flight:
    """Runs builds so that each key is built once at a time. Keep one for all builds of a process: it joins threads.

    Args:
        leases: where claims are made; None where the store has none, and only threads of this process are joined.
        ttl: seconds after which a holder that shows no sign of life is replaced.
        clock: monotonic seconds.
    """

    def __init__(self, leases: Leases | None, ttl: float = 30.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._leases = leases
        self._ttl = ttl
        self._clock = clock
        self._together = Together()

    def run(
        self,
        key: str,
        owner: str,
        look: Callable[[], T | None],
        build: Callable[[Guard], T],
        waiting: Waiting = lambda _holder: None,
        cancel: Cancel | None = None,
    ) -> T:
        """What *look* finds, or what one *build* makes, here or elsewhere.

        Args:
            key: what is built. Equal keys share one result, so that a rebuild needs a key of its own.
            owner: who we are, for people who wait for us.
            look: finds the finished thing; None when it is not there. Called again after each wait.
            build: makes it, and publishes it by compare-and-set. Should call `Guard.check` between its stages.
            waiting: told who builds, once per holder. May raise, to give up; nobody else is hurt.
            cancel: how this caller gives up; None: it never does. Once all have, the build is stopped.

        Raises:
            CooperyError: the build failed, here or where we waited for it. The next call tries again.
            Cancelled: *cancel* was set.
        """

        def make(all_gone: Cancel, tell: Waiting) -> T:
            return self._obtain(_Call(key, owner, all_gone), look, build, tell)

        found = self._together.run(key, look, make, waiting, cancel)
        return found.value if isinstance(found, Found) else found

    # --- processes ----------------------------------------------------------------------------------

    def _obtain(self, call: _Call, look: Callable[[], T | None], build: Callable[[Guard], T], waiting: Waiting) -> T:
        found: T | None = None
        waited, told = 0, ""
        while found is None:
            call.cancel.check()
            claim = self._claim(call)
            if isinstance(claim, Guard):
                return build(claim)
            if claim.lease is not None:
                self._pass_on(claim, waited)
                with suppress(LeaseLost):  # then somebody else builds, and we wait for them
                    return self._hold(claim.lease, call.cancel, look, build)
                waited = 0
                continue
            if claim.holder != told:
                told = claim.holder
                waiting(told)
            waited = waited or claim.token
            if self._wait(call, waited):
                found, waited = look(), 0
        return found

    def _claim(self, call: _Call) -> Claim | Guard:
        """The answer of the leases; a guard over nothing where there are none, or they do not work."""
        if self._leases is None:
            return Guard(cancel=call.cancel)
        try:
            return self._leases.acquire(call.key, call.owner, self._ttl)
        except CacheError as exc:
            return Guard(problem=exc, cancel=call.cancel)

    def _hold(self, lease: Lease, cancel: Cancel, look: Callable[[], T | None], build: Callable[[Guard], T]) -> T:
        """Build under *lease*, and leave word of how it ended."""
        outcome = Outcome("abandoned", lease.token)
        pid = os.getpid()
        leases = cast("Leases", self._leases)
        try:
            with Heartbeat(leases, lease, self._ttl, self._clock, cancel) as guard:
                found = look()  # it may have been published between our look and our claim
                value = build(guard) if found is None else found
            outcome = Outcome("done", lease.token)
            return value
        except (LeaseLost, Cancelled):
            raise
        except Exception as exc:
            outcome = Outcome("failed", lease.token, failure.describe(exc))
            raise
        finally:
            # A child that the build forked ends here too, but the lease is its parent's. And a lease that cannot be
            # released expires: that must not spoil a finished build, nor hide why one failed.
            if os.getpid() == pid:
                with suppress(CacheError):
                    leases.release(lease, outcome)

    def _pass_on(self, claim: Claim, waited: int) -> None:
        """We waited for a holder that failed, and came by its lease before its word: share it, as the others do."""
        left, lease = claim.outcome, claim.lease
        if not waited or left is None or left.token < waited or left.state != "failed" or lease is None:
            return
        with suppress(CacheError):
            cast("Leases", self._leases).release(lease, Outcome("failed", lease.token, left.error))
        raise failure.restore(left.error)

    def _wait(self, call: _Call, token: int) -> bool:
        """Wait a while for the outcome of *token*'s holder; True when it is done, False when to claim again.

        Raises:
            CooperyError: it failed.
            Cancelled: nobody waits any more.
        """
        leases = cast("Leases", self._leases)
        pause = _SHORTEST
        while pause <= _LONGEST:
            call.cancel.wait(pause * (1 + os.urandom(1)[0] / 512))  # spread, so that waiters do not ask in step
            call.cancel.check()
            try:
                left = leases.outcome(call.key, token)
            except CacheError:
                return False  # claiming again decides what to do without leases
            if left is not None and left.state == "failed":
                raise failure.restore(left.error)
            if left is not None:
                return left.state == "done"
            pause *= 2
        return False


@frozen
class _Call:
    """What is to be had, by whom, and whether anybody still waits for it."""

    key: str
    owner: str
    cancel: Cancel
