"""Threads that cut at once take turns with the interpreter, by the megabyte.

Left alone, two threads that gather small files fight for the interpreter at every system call and are no faster than
one. Here one gathers while the other hashes and writes (8,600 files, 500 MB, 2 cores: 0.65 s against 0.79).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from coopery.layers.tar import Sink


class Stopped(Exception):  # noqa: N818 - says the state; seen only by the thread that is told to stop
    """Cutting was given up, because another layer failed or the user interrupted."""


class Turns:
    """One for all threads of a build."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._stopped = False

    def stop(self) -> None:
        """Make every thread that cuts raise `Stopped` at its next megabyte."""
        self._stopped = True

    @contextmanager
    def taken(self, sink: Sink) -> Iterator[Sink]:
        """Hold the turn, except while the given sink takes bytes."""
        with self._lock:
            yield _Yielding(sink, self)

    def _write(self, sink: Sink, data: bytes | memoryview) -> None:
        self._lock.release()
        try:
            if self._stopped:
                raise Stopped
            sink.write(data)
        finally:
            self._lock.acquire()


class _Yielding:
    def __init__(self, sink: Sink, turns: Turns) -> None:
        self._sink = sink
        self._turns = turns

    def write(self, data: bytes | memoryview, /) -> None:
        self._turns._write(self._sink, data)
