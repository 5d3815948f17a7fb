"""A damaged database is set aside, never deleted and never believed: ``records.sqlite.corrupt-20260102T030405Z``.

What is lost is knowledge that building again brings back.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import time
from pathlib import Path
from typing import Final

_SIDE_FILES: Final = ("-journal", "-wal", "-shm")


def set_aside(path: Path, inode: int) -> Path | None:
    """Move the database at *path* away, if it is still the one with *inode*.

    Returns:
        Where it is now; None when another process was faster, and *path* is a new database or nothing.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # The folder itself is what is locked: a lock file would be one more thing to leave behind or to attack.
        fcntl.flock(folder, fcntl.LOCK_EX)
        if _inode(path) != inode:
            return None
        aside = _free_name(path)
        # The journal goes first. Left behind, it would be taken for the journal of the next database of this name.
        for suffix in (*_SIDE_FILES, ""):
            try:
                os.rename(f"{path}{suffix}", f"{aside}{suffix}")
            except FileNotFoundError:
                continue
        os.fsync(folder)
        return aside
    finally:
        os.close(folder)


def _free_name(path: Path) -> Path:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    names = itertools.chain([""], (f".{count}" for count in itertools.count(2)))
    candidates = (path.with_name(f"{path.name}.corrupt-{stamp}{name}") for name in names)
    return next(candidate for candidate in candidates if not os.path.lexists(candidate))


def _inode(path: Path) -> int | None:
    try:
        return os.lstat(path).st_ino
    except FileNotFoundError:
        return None
