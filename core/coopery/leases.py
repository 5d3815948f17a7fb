"""The lease protocol: who builds. A lease only saves work; compare-and-set keeps records right without it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from attrs import field, frozen


@frozen
class Lease:
    """One holder's claim on *name*, until it stops being renewed.

    Attributes:
        name: what is claimed: a key.
        token: greater than that of every earlier lease on *name*; tells holders apart.
        owner: for people: ``user@host pid 4711``.
    """

    name: str
    token: int
    owner: str


@frozen
class Claim:
    """The answer to `Leases.acquire`: the lease when it is ours, else who holds it.

    Attributes:
        lease: ours, or None.
        holder: owner of the lease that stands in the way.
        outcome: the newest outcome that any holder left behind; its token tells whose it is.
        token: of the lease that stands in the way: what to ask `Leases.outcome` for.
    """

    lease: Lease | None
    holder: str = ""
    outcome: Outcome | None = None
    token: int = 0


@frozen
class Outcome:
    """What a holder left behind: done, failed with an error that waiters share once, or abandoned.

    Attributes:
        state: ``done``, ``failed``, or ``abandoned`` (it was interrupted, and says nothing about the next try).
        token: of the lease that was released.
        error: for ``failed``: what `coopery.failure.describe` makes of it.
    """

    state: Literal["done", "failed", "abandoned"]
    token: int
    error: Mapping[str, Any] = field(factory=dict, hash=False)


class Leases(Protocol):
    """Claims with a time to live. Expiry is judged by the observer's own monotonic clock on an unchanged lease."""

    def acquire(self, name: str, owner: str, ttl: float) -> Claim:
        """Try once, without waiting, to claim *name* for *ttl* seconds."""
        ...

    def renew(self, lease: Lease, ttl: float) -> bool:
        """Hold on for *ttl* more seconds; False when the lease is lost (its holder should stop)."""
        ...

    def release(self, lease: Lease, outcome: Outcome) -> None:
        """Give it back and leave *outcome* for waiters. A lost lease is left alone."""
        ...

    def outcome(self, name: str, after: int) -> Outcome | None:
        """What the newest holder left behind that had a token of *after* or more; None while none has, yet."""
        ...
