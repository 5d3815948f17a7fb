"""Who made a container or an intermediate image: written on it, so that what a killed process left can be swept.

A daemon outlives its callers, and may be shared by machines. An owner is told by its process, when that began, the
boot of its machine and its process namespace; only where the last two are ours can it be known to be dead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

from coopery import processes

LABEL: Final = "coopery.owner"
"""Label of containers; its value is an owner's name."""

_in_use: Final[set[str]] = set()


def own() -> str:
    """The name of this process as an owner: also fit to be part of a tag."""
    pid = os.getpid()
    return f"p{pid}-{processes.began(pid) or 0}-{_machine()}"


@contextmanager
def named() -> Iterator[str]:
    """A name for a container that this process uses, for as long as it does."""
    name = f"coopery-{own()}-{os.urandom(4).hex()}"
    hold(name)
    try:
        yield name
    finally:
        drop(name)


def hold(name: str) -> None:
    """Note that this process uses what is called *name*: it is not swept."""
    _in_use.add(name)


def drop(name: str) -> None:
    """Note that it no longer does."""
    _in_use.discard(name)


def is_left(name: str, owner: str) -> bool:
    """Whether nobody uses *name* of *owner* any more: what we could not take away ourselves is among it."""
    return is_dead(owner) or (owner == own() and name not in _in_use)


def is_dead(owner: str) -> bool:
    """Whether *owner* is known to be gone. False for what cannot be known."""
    words = owner.removeprefix("p").split("-", 2)
    if len(words) < 3 or not words[0].isdecimal() or words[2] != _machine():
        return False
    return processes.is_gone(int(words[0]), words[1])


@cache
def _machine() -> str:
    """This boot and this process namespace; what nobody else has where they are unknown."""
    boot, namespace = processes.boot(), processes.namespace()
    return f"{boot.replace('-', '')[:12]}-{namespace}" if boot and namespace else f"{os.urandom(6).hex()}-0"
