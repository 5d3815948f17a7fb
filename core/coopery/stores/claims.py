"""Leases in the SQLite store.

A holder renews by raising a counter. Others may take over when they have themselves seen token and counter unchanged
for the holder's time to live, by their own monotonic clock: no wall clock of anybody's is trusted. A holder on this
machine whose process has ended is replaced at once.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Any

from attrs import asdict, evolve, field, frozen

from coopery import faults
from coopery.leases import Claim, Lease, Outcome
from coopery.stores import holder as _holder
from coopery.stores.database import Database
from coopery.stores.rows import pack, unpack


def _outcome(value: Outcome | dict[str, Any] | None) -> Outcome | None:
    return Outcome(**value) if isinstance(value, dict) else value


@frozen
class _State:
    """One row: who holds, or held, a name. ``beat`` is the counter; ``outcome`` the newest one, whoever left it."""

    token: int
    owner: str
    holder: str
    ttl: float
    held: bool
    beat: int = 0
    outcome: Outcome | None = field(default=None, converter=_outcome)

    @property
    def pulse(self) -> tuple[int, int]:
        """What changes as long as somebody is alive."""
        return self.token, self.beat


class ClaimTable:
    """The table ``leases_1``. Meanings are those of `coopery.leases.Leases`.

    Args:
        database: where it is kept.
        clock: monotonic seconds.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}

    def acquire(self, name: str, owner: str, ttl: float) -> Claim:
        """Try once to claim *name*. Takes the database's write lock only where the claim may succeed."""
        judged = self._database.read(lambda connection: _load(connection, name), None)
        if judged is not None and judged.held and not self._is_over(name, judged):
            return _refused(judged)
        claim = self._database.write(lambda connection: _claim(connection, name, owner, ttl, judged))
        if claim.lease is not None:
            self._seen.pop(name, None)
            faults.point("claim")
        return claim

    def renew(self, lease: Lease, ttl: float) -> bool:
        """Raise the counter, if the lease is still ours."""

        def beat(connection: sqlite3.Connection) -> bool:
            faults.point("renew")
            state = _load(connection, lease.name)
            if state is None or not state.held or state.token != lease.token:
                return False
            _store(connection, lease.name, evolve(state, beat=state.beat + 1, ttl=ttl))
            return True

        return self._database.write(beat)

    def release(self, lease: Lease, outcome: Outcome) -> None:
        """Leave *outcome* and let go, if the lease is still ours."""

        def let_go(connection: sqlite3.Connection) -> None:
            faults.point("release")
            state = _load(connection, lease.name)
            if state is not None and state.held and state.token == lease.token:
                _store(connection, lease.name, evolve(state, held=False, outcome=outcome))

        self._database.write(let_go)

    def outcome(self, name: str, after: int) -> Outcome | None:
        """The newest outcome, if its holder had a token of *after* or more."""
        state = self._database.read(lambda connection: _load(connection, name), None)
        left = state.outcome if state is not None else None
        return left if left is not None and left.token >= after else None

    def _is_over(self, name: str, state: _State) -> bool:
        """Whether the holder in *state* has ended, or has shown us no sign of life for its time to live."""
        if _holder.is_dead(state.holder):
            return True
        now = self._clock()
        pulse, since = self._seen.get(name, (None, now))
        if pulse != state.pulse:
            self._seen[name] = (state.pulse, now)
            return False
        return now - since >= state.ttl


def _claim(connection: sqlite3.Connection, name: str, owner: str, ttl: float, judged: _State | None) -> Claim:
    state = _load(connection, name)
    if state is not None and state.held and (judged is None or state.pulse != judged.pulse):
        return _refused(state)  # it came to life, or somebody else took over, since we looked
    # Microseconds since the epoch are only where tokens start: greater than any that a lost database gave out.
    token = state.token + 1 if state is not None else time.time_ns() // 1000
    left = state.outcome if state is not None else None
    _store(connection, name, _State(token, owner, _holder.me(), ttl, held=True, outcome=left))
    return Claim(Lease(name, token, owner), outcome=left)


def _refused(state: _State) -> Claim:
    return Claim(None, holder=state.owner, outcome=state.outcome, token=state.token)


def _load(connection: sqlite3.Connection, name: str) -> _State | None:
    """The row of *name*; None where it is absent or damaged: a lease only saves work."""
    row = connection.execute("SELECT data, seal FROM leases_1 WHERE name = ?", (name,)).fetchone()
    document = None if row is None else unpack(*row, "lease", name)
    return None if document is None else _State(**document)


def _store(connection: sqlite3.Connection, name: str, state: _State) -> None:
    row = pack(asdict(state), "lease", name)
    connection.execute("INSERT OR REPLACE INTO leases_1 VALUES (?, ?, ?)", (name, *row))
