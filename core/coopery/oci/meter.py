"""Counting bytes that several threads move, and telling of them now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Final

from coopery.events import Emit, Progress, Stage
from coopery.oci.compression import Readable

_EVERY: Final = 0.1
"""Seconds between two tellings."""


class Meter:
    """Bytes so far, of a total that may grow while they are counted.

    Args:
        stage: whose bytes they are.
        emit: where to tell.
        clock: seconds, from any start.
    """

    def __init__(self, stage: Stage, emit: Emit, clock: Callable[[], float] = time.monotonic) -> None:
        self._stage = stage
        self._emit = emit
        self._clock = clock
        self._lock = Lock()
        self._told = 0.0
        self.done = 0
        self.total = 0

    def expect(self, size: int) -> None:
        """There are *size* more bytes to come."""
        with self._lock:
            self.total += size

    def moved(self, size: int, item: str) -> None:
        """*size* bytes of *item* have come or gone."""
        with self._lock:
            self.done += size
            now = self._clock()
            due = now - self._told >= _EVERY or self.done == self.total
            if due:
                self._told = now
            event = Progress(stage=self._stage, done=self.done, total=self.total, unit="bytes", item=item)
        if due:
            self._emit(event)

    def counted(self, source: Readable, item: str) -> Readable:
        """*source*, whose bytes are counted as they are read."""
        return _Counted(source, self, item)


class _Counted:
    def __init__(self, source: Readable, meter: Meter, item: str) -> None:
        self._source = source
        self._meter = meter
        self._item = item

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        if data:
            self._meter.moved(len(data), self._item)
        return data
