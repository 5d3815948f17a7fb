"""Leases in a directory store: one log for each name, whose end says who holds it.

A claim, a takeover and a release are each one appended entry (`coopery.stores.slots`), so that of all who try one
succeeds. Between them the holder shows signs of life by adding a line to its own entry; nobody else ever writes there.
An observer takes over when it has itself seen the entry unchanged, in number and length, for the holder's time to live,
by its own monotonic clock: no clock of the holder's or the file server's counts, and who sees old data waits, or loses
the append. A holder on this machine whose process has ended is replaced at once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from attrs import asdict, evolve, field, frozen

from coopery import faults
from coopery.leases import Claim, Lease, Outcome
from coopery.stores import holder as _holder
from coopery.stores import slots
from coopery.stores.lines import sealed, unsealed
from coopery.stores.shelves import Opened, Shelves

_KIND: Final = "lease-1"
_MOST: Final = 1 << 22
"""Bytes that are read of an entry: an outcome carries the end of a log; a sign of life is a few bytes."""


def _outcome(value: Outcome | dict[str, Any] | None) -> Outcome | None:
    return Outcome(**value) if isinstance(value, dict) else value


@frozen
class _State:
    """One entry: who holds, or held, a name. ``outcome`` is the newest one, whoever left it."""

    token: int
    owner: str
    holder: str
    ttl: float
    held: bool
    outcome: Outcome | None = field(default=None, converter=_outcome)


@frozen
class _End:
    """The end of a log: its number, its length in bytes, and what it says; None for nothing, or for damage."""

    number: int = 0
    length: int = 0
    state: _State | None = None

    @property
    def held(self) -> bool:
        return self.state is not None and self.state.held

    @property
    def pulse(self) -> tuple[int, int]:
        """What changes as long as somebody is alive."""
        return self.number, self.length


class ClaimLogs:
    """The folder ``lease-1``. Meanings are those of `coopery.leases.Leases`.

    Args:
        shelves: where.
        clock: monotonic seconds.
    """

    def __init__(self, shelves: Shelves, clock: Callable[[], float] = time.monotonic) -> None:
        self._shelves = shelves
        self._clock = clock
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}

    def acquire(self, name: str, owner: str, ttl: float) -> Claim:
        """Try once to claim *name*. Writes nothing where the claim cannot succeed."""
        judged = self._look(name)
        if judged.held and not self._is_over(name, judged):
            return _refused(judged)
        claim = self._claim(name, owner, ttl, judged)
        if claim.lease is not None:
            self._seen.pop(name, None)
            faults.point("claim")
        return claim

    def renew(self, lease: Lease, ttl: float) -> bool:
        """Add a sign of life to our entry, if it is still the end."""
        with self._shelves.opened(_KIND, lease.name, create=False) as found:
            mine = None if found is None else self._mine(found, lease)
            if found is None or mine is None:
                return False
            faults.point("renew")
            flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                handle = os.open(str(mine.number), flags, dir_fd=found.folder)
            except FileNotFoundError:
                return False
            with os.fdopen(handle, "ab") as file:  # closing sends it to the server
                file.write(f"{ttl!r}\n".encode())
            return slots.last(found.folder) == mine.number

    def release(self, lease: Lease, outcome: Outcome) -> None:
        """Leave *outcome* and let go, if our entry is still the end."""
        with self._shelves.opened(_KIND, lease.name, create=False) as found:
            mine = None if found is None else self._mine(found, lease)
            if found is None or mine is None or mine.state is None:
                return
            faults.point("release")
            self._append(found, lease.name, mine.number + 1, evolve(mine.state, held=False, outcome=outcome))

    def outcome(self, name: str, after: int) -> Outcome | None:
        """The newest outcome, if its holder had a token of *after* or more."""
        state = self._look(name).state
        left = state.outcome if state is not None else None
        return left if left is not None and left.token >= after else None

    # --- the log ------------------------------------------------------------------------------------

    def _look(self, name: str) -> _End:
        with self._shelves.opened(_KIND, name, create=False) as found:
            return _End() if found is None else self._end(found, name)

    def _end(self, found: Opened, name: str) -> _End:
        number = slots.last(found.folder)
        held = slots.read(found.folder, number, _MOST) if number else None
        if held is None:
            return _End(number)
        data, status = held
        believed = self._shelves.custody.believes(found.top, found.path / str(number), status)
        return _End(number, len(data), _unsealed(data, name, number) if believed else None)

    def _mine(self, found: Opened, lease: Lease) -> _End | None:
        end = self._end(found, lease.name)
        return end if end.state is not None and end.held and end.state.token == lease.token else None

    def _claim(self, name: str, owner: str, ttl: float, judged: _End) -> Claim:
        with self._shelves.opened(_KIND, name, create=True) as found:
            while found is not None:
                end = self._end(found, name)
                if end.held and end.pulse != judged.pulse:
                    return _refused(end)  # it came to life, or somebody else took over, since we looked
                state = _next(end.state, owner, ttl)
                if self._append(found, name, end.number + 1, state):
                    return Claim(Lease(name, state.token, owner), outcome=state.outcome)
        return Claim(None)

    def _append(self, found: Opened, name: str, number: int, state: _State) -> bool:
        """Make *state* the end; False when there is a later one."""
        self._shelves.custody.check_writer(found.top)
        line = sealed(asdict(state), "lease", name, str(number))
        # A lease ends with its holder, so that it need not survive a loss of power.
        if not slots.append(found.folder, number, line, self._shelves.custody.file_mode, durable=False):
            return False
        if slots.last(found.folder) != number:  # we were late: the log has gone on, and had dropped this number
            with suppress(FileNotFoundError):
                os.unlink(str(number), dir_fd=found.folder)
            return False
        slots.prune(found.folder, number)
        return True

    def _is_over(self, name: str, end: _End) -> bool:
        """Whether the holder has ended, or has shown us no sign of life for its time to live."""
        if end.state is None or _holder.is_dead(end.state.holder):
            return True
        now = self._clock()
        pulse, since = self._seen.get(name, (None, now))
        if pulse != end.pulse:
            self._seen[name] = (end.pulse, now)
            return False
        return now - since >= end.state.ttl


def _next(state: _State | None, owner: str, ttl: float) -> _State:
    """What a new holder writes after *state*."""
    # Microseconds since the epoch are only where tokens start: greater than any that a lost log gave out.
    token = state.token + 1 if state is not None else time.time_ns() // 1000
    return _State(token, owner, _holder.me(), ttl, held=True, outcome=state.outcome if state is not None else None)


def _refused(end: _End) -> Claim:
    state = end.state
    return Claim(None) if state is None else Claim(None, state.owner, state.outcome, state.token)


def _unsealed(data: bytes, name: str, number: int) -> _State | None:
    """What an entry says, with the time to live of its last whole sign of life; None where it is damaged."""
    head, line, beats = data.partition(b"\n")
    fields = unsealed(head + line, "lease", name, str(number))
    whole = beats.split(b"\n")[:-1]
    try:
        state = None if fields is None else _State(**fields)
        return evolve(state, ttl=float(whole[-1])) if state is not None and whole else state
    except (TypeError, ValueError):
        return None
