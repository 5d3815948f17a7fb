"""Numbered files in one folder, each made once: a log that many machines can append to, and its one atomic step.

A file is written whole under a name of its own, synced, and then linked to the next free number. ``link()`` fails where
the name is taken, on every machine's server alike, so that of all who append the same number exactly one succeeds. No
lock is held, so none can be lost. Source: open(2), the remarks on ``O_EXCL`` and NFS.

Every function takes the folder as a descriptor: nothing outside it can be reached, whatever becomes of its path.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from coopery import faults
from coopery.errors import CacheError

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}")
_HIGHEST: Final = 999_999_999
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OLD: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV})

VOID: Final = b"void"
"""How a slot begins that says nothing: whoever reads the log skips it."""

LEFTOVER: Final = 3600.0
"""Seconds after which a file that was never linked belongs to nobody any more. By the file server's clock alone."""


def numbers(folder: int) -> list[int]:
    """All numbers in *folder*, the highest first."""
    return sorted((int(name) for name in os.listdir(folder) if _NUMBER.fullmatch(name)), reverse=True)


def last(folder: int) -> int:
    """The highest number in *folder*; 0 when there is none."""
    return max(numbers(folder), default=0)


def read(folder: int, number: int, limit: int) -> tuple[bytes, os.stat_result] | None:
    """At most *limit* bytes of a slot, and whose they are; None where nothing is there."""
    try:
        handle = os.open(str(number), _OLD, dir_fd=folder)
    except FileNotFoundError:
        return None
    found = os.fstat(handle)
    if stat.S_ISDIR(found.st_mode):
        os.close(handle)
        return b"", found
    with os.fdopen(handle, "rb") as file:
        # What is no file is damage, whoever did it.
        return (file.read(limit) if stat.S_ISREG(found.st_mode) else b""), found


def append(folder: int, number: int, data: bytes, mode: int, *, durable: bool = True) -> bool:
    """Make slot *number*, whole and synced; False when somebody was faster.

    Args:
        folder: where.
        number: one more than `last` said.
        data: all of it.
        mode: permission bits.
        durable: survive a loss of power.

    Raises:
        OSError: nothing was made.
        CacheError: this file system has no hard links; or there is no number left, which only damage can do.
    """
    if number > _HIGHEST:
        raise CacheError(f"no entry can follow number {_HIGHEST}", remedy="look who put it there, then remove it")
    with _written(folder, data, mode, durable=durable) as temporary:
        faults.point("slot-link")
        try:
            os.link(temporary, str(number), src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError:
            # A server that answered too late is asked again, and may then refuse what it did itself.
            if not os.path.samestat(_stat(folder, temporary), _stat(folder, str(number))):
                return False
        except OSError as exc:
            if exc.errno in _NO_LINKS:
                remedy = "name a folder on another one"
                raise CacheError(f"this file system has no hard links: {exc.strerror}", remedy=remedy) from exc
            raise
        if durable:
            _settle(folder, number)
    return True


def replace(folder: int, number: int, data: bytes, mode: int) -> None:
    """Put *data* in the place of a slot's. Its number stays taken, which is what keeps late writers out."""
    with _written(folder, data, mode, durable=False) as temporary:
        os.replace(temporary, str(number), src_dir_fd=folder, dst_dir_fd=folder)


def set_aside(folder: int, number: int, data: bytes, mode: int) -> None:
    """Keep a damaged slot under another name, for whoever wants to look, and put *data* in its place."""
    with suppress(FileExistsError):
        os.link(str(number), f"damaged-{number}", src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    replace(folder, number, data, mode)


def prune(folder: int, below: int) -> None:
    """Remove all slots under *below*, for a log of which only the end counts."""
    for number in numbers(folder):
        if number < below:
            with suppress(FileNotFoundError, PermissionError):
                os.unlink(str(number), dir_fd=folder)


def _settle(folder: int, number: int) -> None:
    """Sync the new name; where that fails, take it back: what is not told to have been stored must not be found."""
    try:
        faults.point("slot-dirsync")
        os.fsync(folder)
    except OSError:
        with suppress(OSError):
            _void(folder, number)
        raise


def _void(folder: int, number: int) -> None:
    """Spoil a slot of our own where it lies: a disk that fails may take no new file, and the number must stay taken."""
    handle = os.open(str(number), os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.write(handle, VOID)
    finally:
        os.close(handle)


@contextmanager
def _written(folder: int, data: bytes, mode: int, *, durable: bool) -> Iterator[str]:
    """A new file with *data* under a name of its own, for as long as the context lasts."""
    temporary = f"new-{os.urandom(8).hex()}"
    faults.point("slot-open")
    handle = os.open(temporary, _NEW, mode, dir_fd=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            faults.point("slot-write")
            file.write(data)
            file.flush()
            os.fchmod(handle, mode)  # whatever the umask is
            if durable:
                faults.point("slot-fsync")
                os.fsync(handle)
            _sweep(folder, os.fstat(handle).st_mtime)
        yield temporary
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)


def _sweep(folder: int, now: float) -> None:
    """Remove what writers that died left here. *now* is the server's, as the times that it is compared with are."""
    for name in os.listdir(folder):
        if name.startswith("new-"):
            with suppress(FileNotFoundError, PermissionError):
                if now - _stat(folder, name).st_mtime > LEFTOVER:
                    os.unlink(name, dir_fd=folder)


def _stat(folder: int, name: str) -> os.stat_result:
    return os.stat(name, dir_fd=folder, follow_symlinks=False)
