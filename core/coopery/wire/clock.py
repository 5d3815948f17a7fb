"""Time and chance, as values: so that tests can make an hour pass and know what was rolled."""

from __future__ import annotations

import random
import time
from typing import Final, Protocol


class Clock(Protocol):
    """What waiting needs."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        ...

    def sleep(self, seconds: float, /) -> None:
        """Wait."""
        ...

    def random(self) -> float:
        """A number from 0 up to but not including 1."""
        ...


class _System:
    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float, /) -> None:
        time.sleep(seconds)

    def random(self) -> float:
        return random.random()  # noqa: S311 - spreads callers over time, keeps no secret


SYSTEM: Final[Clock] = _System()
