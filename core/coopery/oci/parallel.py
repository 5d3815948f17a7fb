"""The same work on several things at once, a few at a time; the first failure ends it all, and so does Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event
from typing import Final, TypeVar

from coopery.oci.compression import Readable

AT_ONCE: Final = 4
"""Blobs on their way at one time: enough to hide a round trip, few enough for a registry's limits."""

T = TypeVar("T")
R = TypeVar("R")


class Stopped(Exception):  # noqa: N818 - says the state; seen only by threads that are told to stop
    """The work was given up, because another part failed or the user interrupted."""


class Stop:
    """Tells threads to give up. One for all parts of one work."""

    def __init__(self) -> None:
        self._event = Event()

    def set(self) -> None:
        """Make every `check` from now on raise."""
        self._event.set()

    def check(self) -> None:
        """Go on.

        Raises:
            Stopped: the work was given up.
        """
        if self._event.is_set():
            raise Stopped

    def guarded(self, source: Readable) -> Readable:
        """*source*, whose reading ends when the work is given up."""
        return _Guarded(source, self)


class _Guarded:
    def __init__(self, source: Readable, stop: Stop) -> None:
        self._source = source
        self._stop = stop

    def read(self, size: int, /) -> bytes:
        self._stop.check()
        return self._source.read(size)


def each(work: Callable[[T], R], items: Iterable[T], stop: Stop, at_once: int = AT_ONCE) -> list[R]:
    """The results of *work* on each of *items*, in their order.

    Args:
        work: called in threads; should look at *stop* now and then.
        items: the larger ones first, so that none is left alone at the end.
        stop: set when one part fails, or this thread is interrupted. Nothing runs any more on return.
        at_once: threads.
    """
    with ThreadPoolExecutor(at_once, thread_name_prefix="blobs") as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
            failed = [future.exception() for future in futures if future.done() and not future.cancelled()]
            for problem in failed:
                if problem is not None and not isinstance(problem, Stopped):
                    raise problem
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return [future.result() for future in futures]
