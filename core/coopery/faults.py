"""The one place where tests break things: named points that do nothing unless ``COOPERY_FAULT`` says so.

The variable holds ``POINT:ACTION[:NTH]``, several parted by commas. ACTION is ``kill`` (SIGKILL to this process),
``enospc`` or ``eio`` (an `OSError` of that kind), or ``sleep=SECONDS``. With NTH (1-based) only that passage is hit,
without it every one. Switched off, a point costs one look at a global.
"""

from __future__ import annotations

import errno
import os
import threading
from typing import Final

POINTS: Final = frozenset(
    {
        "claim",  # a lease is ours on disk, its holder does not know it yet; kill and sleep only
        "renew",  # before a heartbeat is written
        "release",  # the build is over, its lease is still held
        "record-put",  # a record is written, its transaction is still open
        "record-done",  # a record is committed, its caller does not know it yet; kill and sleep only
        "record-point",  # registry store: a claim is made, the pointer does not name it yet
        "slot-open",  # directory store: before an entry's file is made
        "slot-write",  # before it is written
        "slot-fsync",  # before it is synced
        "slot-link",  # whole, not yet under its number
        "slot-dirsync",  # under its number, the folder is not yet synced
        "blob-open",  # before a staging file is made
        "blob-write",  # before each write to it
        "blob-fsync",  # before it is synced
        "blob-rename",  # synced, not yet under its own name
        "blob-dirsync",  # under its own name, the folder is not yet synced
        "wheel-fsync",  # a wheel is fetched and checked, not yet under its own name
        "index-replace",  # before a layout's index.json is replaced
        "gc-delete",  # before one thing is taken out of its place
        "gc-empty",  # before what was taken out is deleted
    }
)
_ERRORS: Final = {"enospc": errno.ENOSPC, "eio": errno.EIO}


class _Fault:
    """What happens at one point, and how often it has been passed."""

    def __init__(self, action: str, nth: int) -> None:
        self.action = action
        self._nth = nth
        self._passed = 0
        self._lock = threading.Lock()

    def due(self) -> bool:
        with self._lock:
            self._passed += 1
            return self._nth in (0, self._passed)


def parse(text: str) -> dict[str, _Fault]:
    """The faults that *text* asks for, by point.

    Raises:
        ValueError: an unknown point or action; a misspelt fault that never strikes would make a test pass for nothing.
    """
    faults = {}
    for part in filter(None, text.split(",")):
        name, _, rest = part.partition(":")
        action, _, nth = rest.partition(":")
        known = action == "kill" or action in _ERRORS or action.startswith("sleep=")
        if name not in POINTS or not known or not (nth or "0").isdigit():
            raise ValueError(f"COOPERY_FAULT: expected POINT:ACTION[:NTH] of known ones, got {part!r}")
        faults[name] = _Fault(action, int(nth or 0))
    return faults


_faults: dict[str, _Fault] = {}


def configure(text: str) -> None:
    """Replace this process's faults by those of *text*; an empty string ends them all."""
    global _faults  # noqa: PLW0603 - one global is what makes a point that is off cost nothing
    _faults = parse(text)


def point(name: str) -> None:
    """Pass the point *name*.

    Raises:
        OSError: the fault that was asked for here.
    """
    if _faults and name in _faults:
        _strike(name, _faults[name])


def _strike(name: str, fault: _Fault) -> None:
    if not fault.due():
        return
    if fault.action == "kill":
        import signal

        os.kill(os.getpid(), signal.SIGKILL)
    elif fault.action.startswith("sleep="):
        import time

        time.sleep(float(fault.action.partition("=")[2]))
    else:
        number = _ERRORS[fault.action]
        raise OSError(number, f"{os.strerror(number)} (injected)", name)


configure(os.environ.get("COOPERY_FAULT", ""))
