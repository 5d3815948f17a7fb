"""What a fork may meet: objects with a lock and a resource that must not cross into the child.

SQLite forbids carrying a connection over a fork, even to close it. So a fork waits until nothing is under way here, and
the child forgets what it inherited, without closing it.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class Forkable(Protocol):
    """Something that `watch` was told of."""

    def hold(self) -> None:
        """Wait until nothing is under way, and let nothing begin."""
        ...

    def let_go(self) -> None:
        """Go on: in the parent, after the fork."""
        ...

    def forget(self) -> None:
        """Start anew with a lock of its own: in the child."""
        ...


_watched: weakref.WeakSet[Forkable] = weakref.WeakSet()
_held: list[Forkable] = []
_one_fork = threading.Lock()


def watch(item: Forkable) -> None:
    """See to *item* in every fork of this process from now on, for as long as it lives."""
    _watched.add(item)


def _before() -> None:
    _one_fork.acquire()
    _held.extend(_watched)
    for item in _held:
        item.hold()


def _in_parent() -> None:
    while _held:
        _held.pop().let_go()
    _one_fork.release()


def _in_child() -> None:
    while _held:
        _held.pop().forget()
    _one_fork.release()


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
