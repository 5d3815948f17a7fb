"""Folders and files that are their owner's alone: made 0700 and 0600, refused where somebody else could have a hand in.

What is kept here is trusted on the next read, so that whoever may write here decides what is run later.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from coopery.errors import CacheError

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def make_folder(path: Path) -> None:
    """Make *path*, readable by its owner only; what is missing above it comes by the ordinary umask.

    A folder that is there is left as it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)


def make_file(path: Path) -> None:
    """Make *path*, empty and 0600, unless something is there. Never follows a link, never opens what exists."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_WRONLY, 0o600))


def check_folder(path: Path) -> bool:
    """Whether the folder *path* exists and can be trusted.

    Its last component is looked at; links above it (a home folder elsewhere) are ordinary.

    Returns:
        False when nothing is there.

    Raises:
        CacheError: a symlink, no folder, somebody else's, or writable by others.
    """
    found = _lstat(path)
    if found is None:
        return False
    if stat.S_ISLNK(found.st_mode):
        remedy = f"name the folder itself: {os.path.realpath(path)}"
        raise CacheError(f"{path}: refused, it is a symlink, which others may have put there", remedy=remedy)
    if not stat.S_ISDIR(found.st_mode):
        raise CacheError(f"{path}: expected a folder", remedy="remove it, or set COOPERY_HOME to another folder")
    _check_owner(path, found)
    if found.st_mode & _OTHERS_WRITE:
        raise CacheError(
            f"{path}: refused, others may write here (mode {stat.S_IMODE(found.st_mode):04o})",
            remedy=f"chmod go-w {path}, or keep records in a folder of your own",
        )
    return True


def check_file(path: Path) -> os.stat_result | None:
    """What is at *path* when it can be trusted; None when nothing is there.

    Raises:
        CacheError: a symlink, no regular file, or somebody else's.
    """
    found = _lstat(path)
    if found is None:
        return None
    if not stat.S_ISREG(found.st_mode):
        kind = "a symlink" if stat.S_ISLNK(found.st_mode) else "no regular file"
        raise CacheError(f"{path}: refused, it is {kind}", remedy="look who put it there, then remove it")
    _check_owner(path, found)
    return found


def tighten_folder(path: Path) -> None:
    """Take everybody else's rights away from a folder of ours that a generous umask gave them."""
    found = _lstat(path)
    ours = found is not None and stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if found is not None and ours and found.st_mode & _OTHERS_WRITE:
        os.chmod(path, 0o700, follow_symlinks=os.chmod not in os.supports_follow_symlinks)


def _lstat(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise CacheError(f"{path}: cannot be looked at: {exc.strerror}") from exc


def _check_owner(path: Path, found: os.stat_result) -> None:
    # What is root's is no worse than the system itself, and is how an administrator hands out a read-only cache.
    if found.st_uid not in (os.geteuid(), 0):
        raise CacheError(
            f"{path}: refused, it belongs to user {found.st_uid}, not to you ({os.geteuid()})",
            remedy="set COOPERY_HOME to a folder of your own",
        )
