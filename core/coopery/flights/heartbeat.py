"""What a builder holds while it builds: a lease that renews itself, and the word when it is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from coopery.cancel import Cancel
from coopery.errors import BuildError, CacheError
from coopery.leases import Lease, Leases


class LeaseLost(BuildError):  # noqa: N818 - says the state; `coopery.flights.flight` catches it and waits for the new holder
    """Somebody else has taken over this build. What was made so far is harmless, and of no use."""


class Guard:
    """Handed to a build, so that it stops when somebody else has taken over.

    Attributes:
        lease: what is held; None when there are no leases, or they do not work.
        problem: why leases do not work, where that is so: safety rests on compare-and-set alone then.
        cancel: set once nobody waits for the build any more.
        lost: set once the lease is lost.
    """

    def __init__(
        self, lease: Lease | None = None, problem: CacheError | None = None, cancel: Cancel | None = None
    ) -> None:
        self.lease = lease
        self.problem = problem
        self.cancel = cancel or Cancel()
        self.lost = threading.Event()

    def check(self) -> None:
        """Go on, if the lease is still ours, and somebody waits.

        Raises:
            LeaseLost: it is not ours.
            Cancelled: nobody does.
        """
        self.cancel.check()
        if self.lost.is_set():
            raise LeaseLost(f"the lease on {self.lease.name if self.lease else '?'} was lost: somebody else builds it")


class Heartbeat:
    """Renews *lease* three times per *ttl* seconds, in a thread, while the context lasts."""

    def __init__(
        self,
        leases: Leases,
        lease: Lease,
        ttl: float,
        clock: Callable[[], float] = time.monotonic,
        cancel: Cancel | None = None,
    ) -> None:
        self._leases = leases
        self._lease = lease
        self._ttl = ttl
        self._clock = clock
        self._stop = threading.Event()
        self._guard = Guard(lease, cancel=cancel)
        self._thread = threading.Thread(target=self._beat, name=f"lease {lease.name[:20]}", daemon=True)

    def __enter__(self) -> Guard:
        self._thread.start()
        return self._guard

    def __exit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        renewed = self._clock()
        while not self._stop.wait(self._ttl / 3):
            held = True
            # A store that fails for a moment is asked again: the lease stands for ttl seconds without us.
            with suppress(CacheError):
                held = self._leases.renew(self._lease, self._ttl)
                renewed = self._clock()
            if not held or self._clock() - renewed >= self._ttl:
                self._guard.lost.set()
                return
