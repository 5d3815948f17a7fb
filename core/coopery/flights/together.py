"""What threads of one process want at once, looked for and made once for all of them.

Nobody is given news from before they asked: a look that had begun already is not shared, only the next one, which
begins when that ends. So however many threads ask, one looks at a time. What is being made is shared by whoever comes,
since it ends later. On the way to every hit: little is imported here.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Final, Generic, Literal, TypeVar, cast

from attrs import frozen

from coopery.cancel import Cancel, Cancelled

F = TypeVar("F")
M = TypeVar("M")
Waiting = Callable[[str], None]
_A_MOMENT: Final = 0.05
"""Seconds after which a caller is told whom it waits for."""


@frozen
class Found(Generic[F]):
    """What a look found, for one of those who asked."""

    value: F


class Together:
    """One for all threads that may join each other."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._rounds: dict[str, _Round] = {}
        self._count = 0

    def run(
        self,
        name: str,
        look: Callable[[], F | None],
        make: Callable[[Cancel, Waiting], M],
        waiting: Waiting = lambda _holder: None,
        cancel: Cancel | None = None,
    ) -> Found[F] | M:
        """What *look* finds, or what one *make* gives, for all who ask for *name* at once.

        Args:
            name: what is wanted. Equal names share results.
            look: finds it quickly; None when it is not there. Not called while somebody makes it.
            make: makes it. Given a `Cancel`, set once all who wait have given up, and whom to tell who makes it.
            waiting: told who makes it. May raise, to give up; nobody else is hurt.
            cancel: how this caller gives up; None: it never does.

        Raises:
            Cancelled: *cancel* was set.
            Exception: what *look* or *make* raised, in each of those who shared it.
        """
        came = self._count
        while True:
            if cancel is not None:
                cancel.check()
            with self._lock_here():
                found = self._rounds.get(name)
                mine = found is None
                if found is None:
                    self._count += 1
                    found = self._rounds[name] = _Round(self._count)
                shared = mine or found.welcomes(came)
                if shared:
                    found.members.append(cancel)
            if mine:
                return self._lead(name, found, look, make, waiting, cancel)
            if (shared or found.joined_later(cancel)) and found.share(waiting, cancel):
                return cast("Found[F] | M", found.value)

    def _lock_here(self) -> threading.Lock:
        if self._pid != os.getpid():  # a fork copied what other threads, which are not here, were doing
            self._pid, self._lock, self._rounds = os.getpid(), threading.Lock(), {}
        return self._lock

    def _lead(
        self,
        name: str,
        mine: _Round,
        look: Callable[[], F | None],
        make: Callable[[Cancel, Waiting], M],
        waiting: Waiting,
        cancel: Cancel | None,
    ) -> Found[F] | M:
        try:
            with mine.staying(cancel):
                found = look()
                if found is not None:
                    mine.value = result = Found(found)
                    return result
                mine.enter("making")
                mine.value = made = make(mine.cancel, mine.telling(waiting))
                return made
        except _GaveUp as exc:
            mine.abandoned = True
            raise exc.reason from None
        except Cancelled:
            mine.abandoned = True
            raise
        except Exception as exc:
            mine.error = exc
            raise
        except BaseException:
            mine.abandoned = True  # Ctrl-C here says nothing about the others: one of them goes on
            raise
        finally:
            with self._lock_here():
                self._rounds.pop(name, None)
            mine.enter("done")


class _Round:
    """One look and, where that finds nothing, one making: with those who share it.

    Attributes:
        number: of all rounds, in the order in which they began to look.
        members: how each of those who share it gives up; None: it does not.
        cancel: set once all of them have.
        value, error, abandoned: what came of it, once it is done; abandoned: nothing, somebody else should try.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.members: list[Cancel | None] = []
        self.cancel = Cancel()
        self.value: Any = None
        self.error: Exception | None = None
        self.abandoned = False
        self._holder = f"another thread of pid {os.getpid()}"
        self._phase: Literal["looking", "making", "done"] = "looking"
        self._made = False
        self._changed = threading.Condition()

    def welcomes(self, came: int) -> bool:
        """Whether who came when *came* rounds had begun may share it."""
        return (self._phase == "making" or self.number > came) and not self.cancel.is_set()

    def enter(self, phase: Literal["making", "done"]) -> None:
        with self._changed:
            self._phase = phase
            self._made = self._made or phase == "making"
            self._changed.notify_all()

    def joined_later(self, cancel: Cancel | None) -> bool:
        """Wait for the end of a look that had begun before; whether it found nothing, so that what is made is ours too.

        This holds even if that has ended, or failed, by now: it began after we came.
        """
        self._wait(lambda: self._phase != "looking", cancel)
        if not self._made or self.cancel.is_set():
            self._wait(self._is_done, cancel)
            return False
        self.members.append(cancel)
        return True

    def share(self, waiting: Waiting, cancel: Cancel | None) -> bool:
        """Wait for what comes of it; False where that is nothing.

        Raises:
            Cancelled: *cancel* was set.
            Exception: its error, or what *waiting* raised.
        """
        with self.staying(cancel):
            if not self._wait(self._is_done, cancel, _A_MOMENT):
                waiting(self._holder)
            self._wait(self._is_done, cancel)
        if cancel is not None and not self._is_done():
            cancel.check()
        if self.error is not None:
            from coopery import failure

            raise failure.copy(self.error)
        return not self.abandoned

    @contextmanager
    def staying(self, cancel: Cancel | None) -> Iterator[None]:
        """While this lasts, one of its members is here, and gives up by *cancel*."""
        try:
            with cancel.calling(self._review) if cancel is not None else nullcontext():
                yield
        finally:
            self.members.remove(cancel)
            self._review()

    def telling(self, waiting: Waiting) -> Waiting:
        """*waiting*, such that those who come later know of the holder too, and that it may give up for us alone."""

        def tell(holder: str) -> None:
            self._holder = holder
            try:
                waiting(holder)
            except BaseException as exc:
                raise _GaveUp(exc) from exc

        return tell

    def _is_done(self) -> bool:
        return self._phase == "done"

    def _review(self) -> None:
        """Stop where all have given up; have those look who wait here."""
        members = tuple(self.members)
        if members and all(member is not None and member.is_set() for member in members):
            self.cancel.set()
        with self._changed:
            self._changed.notify_all()

    def _wait(self, ready: Callable[[], bool], cancel: Cancel | None, seconds: float | None = None) -> bool:
        def over() -> bool:
            return ready() or (cancel is not None and cancel.is_set())

        with cancel.calling(self._review) if cancel is not None else nullcontext(), self._changed:
            return self._changed.wait_for(over, seconds)


class _GaveUp(Exception):  # noqa: N818 - carries what the caller's own `waiting` raised past the handlers of failures
    def __init__(self, reason: BaseException) -> None:
        super().__init__()
        self.reason = reason
