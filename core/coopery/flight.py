"""One build per key: among the threads of a process by a shared result, among processes by a lease.

A lease only saves work. That nobody ever gets a wrong or a second image rests on the compare-and-set of the record,
so that whatever is wrong with leases (none, lost, or a store that fails) costs at most a build done twice.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar, cast

from coopery import failure
from coopery.errors import CacheError
from coopery.heartbeat import Guard, Heartbeat, LeaseLost
from coopery.leases import Claim, Lease, Leases, Outcome

__all__ = ["Flight", "Guard", "LeaseLost"]

T = TypeVar("T")
_SHORTEST: Final = 0.05
_LONGEST: Final = 0.2
_Waiting = Callable[[str], None]


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
        self._lock = threading.Lock()
        self._shared: dict[str, _Shared] = {}
        self._pid = os.getpid()

    def run(
        self,
        key: str,
        owner: str,
        look: Callable[[], T | None],
        build: Callable[[Guard], T],
        waiting: _Waiting = lambda _holder: None,
    ) -> T:
        """What *look* finds, or what one *build* makes, here or elsewhere.

        Args:
            key: what is built. Equal keys share one result, so that a rebuild needs a key of its own.
            owner: who we are, for people who wait for us.
            look: finds the finished thing; None when it is not there. Called again after each wait.
            build: makes it, and publishes it by compare-and-set. Should call `Guard.check` between its stages.
            waiting: told who builds, once per holder. May raise, to give up; nobody else is hurt.

        Raises:
            CooperyError: the build failed, here or where we waited for it. The next call tries again.
        """
        while True:
            shared, leading = self._join(key)
            if leading:
                obtain = partial(self._obtain, key, owner, look, build, shared.telling(waiting))
                return self._lead(key, shared, obtain)
            if not shared.done.wait(_SHORTEST):
                waiting(shared.holder)
            shared.done.wait()
            if shared.error is not None:
                raise failure.copy(shared.error)
            if not shared.abandoned:
                return cast("T", shared.value)

    # --- threads ------------------------------------------------------------------------------------

    def _join(self, key: str) -> tuple[_Shared, bool]:
        """The result in the making for *key*, and whether it is ours to make."""
        if self._pid != os.getpid():  # a fork copied what other threads, which are not here, were doing
            self._pid, self._lock, self._shared = os.getpid(), threading.Lock(), {}
        with self._lock:
            found = self._shared.get(key)
            if found is not None:
                return found, False
            made = self._shared[key] = _Shared()
            return made, True

    def _lead(self, key: str, shared: _Shared, obtain: Callable[[], T]) -> T:
        try:
            shared.value = value = obtain()
            return value
        except _GaveUp as exc:
            shared.abandoned = True
            raise exc.reason from None
        except Exception as exc:
            shared.error = exc
            raise
        except BaseException:
            shared.abandoned = True  # Ctrl-C here says nothing about the others: one of them goes on
            raise
        finally:
            with self._lock:
                self._shared.pop(key, None)
            shared.done.set()

    # --- processes ----------------------------------------------------------------------------------

    def _obtain(
        self, key: str, owner: str, look: Callable[[], T | None], build: Callable[[Guard], T], waiting: _Waiting
    ) -> T:
        found = look()
        waited, told = 0, ""
        while found is None:
            claim = self._claim(key, owner)
            if isinstance(claim, Guard):
                return build(claim)
            if claim.lease is not None:
                self._pass_on(claim, waited)
                with suppress(LeaseLost):  # then somebody else builds, and we wait for them
                    return self._hold(claim.lease, look, build)
                waited = 0
                continue
            if claim.holder != told:
                told = claim.holder
                waiting(told)
            waited = waited or claim.token
            if self._wait(key, waited):
                found, waited = look(), 0
        return found

    def _claim(self, key: str, owner: str) -> Claim | Guard:
        """The answer of the leases; a guard over nothing where there are none, or they do not work."""
        if self._leases is None:
            return Guard()
        try:
            return self._leases.acquire(key, owner, self._ttl)
        except CacheError as exc:
            return Guard(problem=exc)

    def _hold(self, lease: Lease, look: Callable[[], T | None], build: Callable[[Guard], T]) -> T:
        """Build under *lease*, and leave word of how it ended."""
        outcome = Outcome("abandoned", lease.token)
        pid = os.getpid()
        leases = cast("Leases", self._leases)
        try:
            with Heartbeat(leases, lease, self._ttl, self._clock) as guard:
                found = look()  # it may have been published between our look and our claim
                value = build(guard) if found is None else found
            outcome = Outcome("done", lease.token)
            return value
        except LeaseLost:
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

    def _wait(self, key: str, token: int) -> bool:
        """Wait a while for the outcome of *token*'s holder; True when it is done, False when to claim again.

        Raises:
            CooperyError: it failed.
        """
        leases = cast("Leases", self._leases)
        pause = _SHORTEST
        while pause <= _LONGEST:
            time.sleep(pause * (1 + os.urandom(1)[0] / 512))  # spread, so that waiters do not ask in step
            try:
                left = leases.outcome(key, token)
            except CacheError:
                return False  # claiming again decides what to do without leases
            if left is not None and left.state == "failed":
                raise failure.restore(left.error)
            if left is not None:
                return left.state == "done"
            pause *= 2
        return False


class _Shared:
    """A result in the making. When ``done``, it is the value unless there is an error, or it was abandoned."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.value: Any = None
        self.error: Exception | None = None
        self.abandoned = False
        self.holder = f"another thread of pid {os.getpid()}"

    def telling(self, waiting: _Waiting) -> _Waiting:
        """*waiting*, such that threads that come later know of the holder too, and that it may give up for us alone."""

        def tell(holder: str) -> None:
            self.holder = holder
            try:
                waiting(holder)
            except BaseException as exc:
                raise _GaveUp(exc) from exc

        return tell


class _GaveUp(Exception):  # noqa: N818 - carries what the caller's own `waiting` raised past the handlers of failures
    def __init__(self, reason: BaseException) -> None:
        super().__init__()
        self.reason = reason
