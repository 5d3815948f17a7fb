"""Waiting for what comes about."""

from __future__ import annotations

import time
from collections.abc import Callable

_PATIENCE = 90.0


def until(ready: Callable[[], object]) -> None:
    end = time.monotonic() + _PATIENCE
    while not ready():
        assert time.monotonic() < end, "it does not come about"
        time.sleep(0.05)
