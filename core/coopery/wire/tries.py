"""How often and how long a request is tried: at most 5 times, within a minute, with some chance in every pause.

The chance keeps a thousand clients that were turned away together from coming back together ("full jitter": the pause
is drawn from everything between nothing and twice the last bound).
"""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

from coopery.errors import NetworkError
from coopery.events import Emit, Retrying
from coopery.wire.clock import Clock

MOST: Final = 5
SECONDS: Final = 60.0
_FIRST: Final = 0.5
_SHORTEST: Final = 0.05
_LONGEST_ASKED: Final = 30.0


class Tries:
    """The attempts at one thing. Call `failed` after each that went wrong, then make the next one."""

    def __init__(self, clock: Clock, emit: Emit) -> None:
        self._clock = clock
        self._emit = emit
        self._failures = 0
        self._started = clock.monotonic()

    @property
    def left(self) -> float:
        """Seconds until no further attempt is made."""
        return SECONDS - (self._clock.monotonic() - self._started)

    def moved(self) -> None:
        """Bytes moved until now: the time that took is not held against the next attempt."""
        self._started = self._clock.monotonic()

    def progressed(self) -> None:
        """Count anew: what was done so far is not lost by the next failure."""
        self._failures = 0
        self.moved()

    def failed(self, error: NetworkError) -> None:
        """Wait until the next attempt may be made.

        Raises:
            NetworkError: *error* itself, when trying again cannot help, is not allowed any more, or would be too late.
        """
        if error.attempts > 1:  # it was tried again where it was raised
            raise error
        self._failures += 1
        if self._failures > 1:
            error = error.after(self._failures)
        if not error.transient or self._failures >= MOST:
            raise error
        pause = self._pause(error.retry_after)
        if pause > self.left:
            raise error
        self._emit(Retrying(message=error.message, seconds=pause, attempt=self._failures + 1, attempts=MOST))
        self._clock.sleep(pause)

    def _pause(self, asked: float) -> float:
        if asked > 0:  # what the server asks for, and a little more: the others were told the same
            return min(asked, _LONGEST_ASKED) * (1 + self._clock.random() / 10) + _SHORTEST
        bound: float = _FIRST * 2 ** (self._failures - 1)
        return max(_SHORTEST, bound * self._clock.random())


def retry_after(value: str, date: str) -> float:
    """Seconds that a server asks to wait, or 0.

    Args:
        value: header ``Retry-After``: seconds, or a date.
        date: header ``Date`` of the same answer, which a date is compared with: the server's clock, not ours.

    Source: RFC 9110, section 10.2.3.
    """
    if value.isascii() and value.isdecimal() and len(value) <= 9:
        return float(value)
    until, now = _moment(value), _moment(date)
    return max(0.0, (until - now).total_seconds()) if until and now else 0.0


def _moment(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return found if found.tzinfo is not None else None
