"""One cache folder for all processes of a test session, so that what is large is built once.

Every process that uses it holds a lock on it. The last one that ends removes it; what a killed session left behind is
removed by the next.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
from contextlib import suppress
from functools import cache
from pathlib import Path

import parts

_ROOT = parts.REPOSITORY / "build" / "test-home"


@cache
def shared_home() -> Path:
    """The folder of this session; pytest-xdist's workers have one session in common."""
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID") or f"process-{os.getpid()}"
    folder = _ROOT / session
    handle = _hold(folder)
    for other in _ROOT.iterdir():
        if other != folder:
            _remove_unused(other)
    atexit.register(_leave, folder, handle, os.getpid())
    return folder / "home"


def _hold(folder: Path) -> int:
    """A shared lock on *folder*, which is made; another session may remove it until we have the lock."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            handle = os.open(folder / "in-use", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
            fcntl.flock(handle, fcntl.LOCK_SH)
            if (folder / "in-use").exists():
                return handle
            os.close(handle)


def _leave(folder: Path, handle: int, pid: int) -> None:
    if os.getpid() != pid:  # a child that a test forked
        return
    os.close(handle)
    _remove_unused(folder)


def _remove_unused(folder: Path) -> None:
    with suppress(OSError):
        handle = os.open(folder / "in-use", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(handle)
