"""Leases in Redis: one hash for each name.

A waiter takes over when it has itself seen token and beat unchanged for the holder's time to live, by its own clock: a
server's clock that jumps, or that stood still with the server, makes nobody lose a lease. The server only forgets:
a lease that nobody renewed or waited for after `_FORGOTTEN` times its time to live, what was left behind after an hour.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Final

from attrs import asdict, frozen

from coopery import faults
from coopery.errors import CacheError
from coopery.leases import Claim, Lease, Outcome
from coopery_redis.scripts import ACQUIRE, RELEASE, RENEW
from coopery_redis.server import Server

_FORGOTTEN: Final = 4
_KEPT_MS: Final = 3_600_000
_STATES: Final = ("done", "failed", "abandoned")


@frozen
class _Seen:
    """A holder's pulse (token and beat), since when we know it, and how long it may stay so."""

    pulse: bytes
    since: float
    ttl: float


class ClaimTable:
    """Meanings are those of `coopery.leases.Leases`.

    Args:
        server: where they are kept.
        clock: monotonic seconds.
    """

    def __init__(self, server: Server, clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._clock = clock
        self._seen: dict[str, _Seen] = {}

    def acquire(self, name: str, owner: str, ttl: float) -> Claim:
        """Try once to claim *name*. The nonce finds our own lease again where only the answer was lost."""
        seen = self._seen.get(name)
        over = seen.pulse if seen is not None and self._clock() - seen.since >= seen.ttl else b""
        nonce = os.urandom(16).hex()
        answer = self._server.run(ACQUIRE, [self._key(name)], _shown(owner), repr(ttl), _forgotten(ttl), nonce, over)
        ours, token, beat, holder, its_ttl, left = answer
        outcome = _outcome(left)
        if ours:
            self._seen.pop(name, None)
            faults.point("claim")
            return Claim(Lease(name, int(token), owner), outcome=outcome)
        pulse = b"%b %b" % (token, beat)
        if seen is None or seen.pulse != pulse:
            self._seen[name] = _Seen(pulse, self._clock(), _seconds(its_ttl))
        return Claim(None, (holder or b"").decode(errors="replace"), outcome, int(token))

    def renew(self, lease: Lease, ttl: float) -> bool:
        """Raise the beat, if the lease is still ours."""
        faults.point("renew")
        key = self._key(lease.name)
        return bool(self._server.run(RENEW, [key], lease.token, _shown(lease.owner), repr(ttl), _forgotten(ttl)))

    def release(self, lease: Lease, outcome: Outcome) -> None:
        """Leave *outcome* and let go, if the lease is still ours."""
        faults.point("release")
        try:
            word = json.dumps(asdict(outcome), allow_nan=False)
        except (TypeError, ValueError) as exc:
            raise CacheError(f"an outcome cannot be written as JSON: {exc}") from exc
        self._server.run(RELEASE, [self._key(lease.name)], lease.token, word, _KEPT_MS)

    def outcome(self, name: str, after: int) -> Outcome | None:
        """The newest outcome, if its holder had a token of *after* or more."""
        (left,) = self._server.ask(("HGET", self._key(name), "outcome"))
        outcome = _outcome(left)
        return outcome if outcome is not None and outcome.token >= after else None

    def _key(self, name: str) -> bytes:
        try:
            return self._server.address.key("lease", name)
        except UnicodeEncodeError as exc:
            raise CacheError(f"{name[:80]!r}: no name of a lease: {exc.reason}") from exc


def _shown(owner: str) -> bytes:
    """What people are told; names of users may hold bytes that are no text."""
    return owner.encode(errors="replace")


def _forgotten(ttl: float) -> int:
    """Milliseconds after which the server forgets a lease that is not renewed."""
    return max(1, round(ttl * 1000 * _FORGOTTEN))


def _seconds(text: bytes | None) -> float:
    """The time to live that a holder stated; none where that is damaged, so that it is over at once."""
    try:
        return max(0.0, float(text or b"0"))
    except ValueError:
        return 0.0


def _outcome(word: object) -> Outcome | None:
    """What a holder left behind; None where there is nothing, or nothing that can be read."""
    try:
        fields = json.loads(word) if isinstance(word, bytes) and word else None
        left = None if fields is None else Outcome(**fields)
    except (ValueError, TypeError, RecursionError):
        return None
    sound = left is not None and left.state in _STATES and isinstance(left.token, int) and isinstance(left.error, dict)
    return left if sound else None
