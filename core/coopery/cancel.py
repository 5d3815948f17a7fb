"""Giving up on a build: the word that nobody waits for it any more, and who must hear it.

Ctrl-C reaches only the main thread. A build that runs in another one is stopped by a `Cancel`: between stages and
steps it is asked, with every line of output and every sign of progress too, and whoever waits for a process or a
server leaves word of how to end that wait (`Cancel.calling`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from coopery.errors import BuildError


class Cancelled(BuildError):  # noqa: N818 - says the state; those who could be told have all gone
    """Nobody waits for this build any more, so it was stopped. Nothing half-made was kept."""


def stopped() -> Cancelled:
    """What a build that was given up ends with."""
    return Cancelled("nobody waits for this build any more, so it was stopped")


class Cancel:
    """Whether to go on. One for each build, and one for each of those who wait for it. Safe between threads."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._calls: list[Callable[[], object]] = []

    def set(self) -> None:
        """Give up. What was left with `calling` is called, in this thread; a second time does nothing."""
        with self._lock:
            if self._event.is_set():
                return
            self._event.set()
            calls = tuple(self._calls)
        for call in calls:
            call()

    def is_set(self) -> bool:
        """Whether it was given up."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep for *seconds*, less where it is given up meanwhile; whether it was."""
        return self._event.wait(seconds)

    def check(self) -> None:
        """Go on.

        Raises:
            Cancelled: it was given up.
        """
        if self._event.is_set():
            raise stopped()

    @contextmanager
    def calling(self, end: Callable[[], object]) -> Iterator[None]:
        """While this lasts, call *end* when it is given up; at once where it was already.

        Args:
            end: ends a wait, from another thread: kills a process, closes a connection. Prompt; raises nothing. May be
                called once more just after this ended.
        """
        with self._lock:
            self._calls.append(end)
            late = self._event.is_set()
        try:
            if late:
                end()
            yield
        finally:
            with self._lock:
                self._calls.remove(end)
