"""What is in use: marks on files, and the locks that keep `gc` and builds out of each other's way.

Three rules make it safe, and each is one lock (`flock` on a folder, which ends with its process, however that ends):

- Whoever is about to use something old *marks* it: sets its time to now, while holding the gate shared. gc takes things
  away while holding the gate alone, and looks at their times then: what is marked later than gc believed stays, and
  what is gone is seen to be gone by whoever marks it.
- Whoever builds stands in ``active/`` for as long. gc takes nothing that was made or marked since the first of them
  began.
- What is kept is only ever renamed away under the gate, and deleted after it.

A hit imports this module, so that it needs nothing but `os`, `fcntl` and `coopery.sharing`.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from coopery import sharing

ACTIVE: Final = "active"
"""Folder below the cache folder: one locked file for each process that builds there."""

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def mark(path: str | os.PathLike[str], staging: str | os.PathLike[str]) -> bool:
    """Say that *path* is used now; False when it is not there. Microseconds.

    Where it cannot be marked (somebody else's, a read-only disk) nothing can be collected either.

    Args:
        path: a file or folder below the cache folder.
        staging: the cache folder's ``staging``; the gate is a lock on it.
    """
    handle = _gate(staging, fcntl.LOCK_SH)
    try:
        os.utime(path, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return os.path.lexists(path)
    finally:
        if handle >= 0:
            os.close(handle)
    return True


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the lock on *folder* alone: on ``staging`` it is the gate, closed. Never call `mark` inside.

    Raises:
        OSError: no such folder, or this file system has no locks.
    """
    handle = os.open(folder, _FOLDER)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _gate(staging: str | os.PathLike[str], how: int) -> int:
    """The gate, held; -1 where there is none: then nothing collects, since gc makes it first."""
    try:
        handle = os.open(staging, _FOLDER)
    except OSError:
        return -1
    try:
        fcntl.flock(handle, how)
    except OSError:  # no locks here: gc refuses such a file system
        os.close(handle)
        return -1
    return handle


@contextmanager
def working(root: Path) -> Iterator[None]:
    """Stand in ``active/`` of the cache folder *root* for as long as this lasts.

    Where that cannot be written nobody collects, and nothing is said.
    """
    handle, path = _stand(root)
    pid = os.getpid()
    try:
        yield
    finally:
        if handle >= 0:
            if os.getpid() == pid:  # a child that the build forked ends here too, but the mark is its parent's
                with suppress(OSError):
                    os.unlink(path)
            os.close(handle)


def _stand(root: Path) -> tuple[int, str]:
    folder = os.path.join(root, ACTIVE)
    gate = _gate(root / "staging", fcntl.LOCK_SH)
    try:
        make_active(root)
        path = os.path.join(folder, f"{os.getpid()}-{os.urandom(4).hex()}")
        handle = os.open(path, _NEW, 0o600)
        if sharing.shared(folder):
            os.fchmod(handle, sharing.FILE)  # other members' gc is to see it
        with suppress(OSError):  # no locks here: gc refuses such a file system
            fcntl.flock(handle, fcntl.LOCK_SH)
    except OSError:
        return -1, ""
    finally:
        if gate >= 0:
            os.close(gate)
    return handle, path


def make_active(root: Path) -> None:
    """Make ``active/`` below the cache folder *root*.

    Raises:
        OSError: the disk refused.
    """
    folder = os.path.join(root, ACTIVE)
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        return
    if sharing.shared(root):
        sharing.open_folder(folder)


def since(root: Path, *, tidy: bool = False) -> int | None:
    """When the first of those that build in *root* now began, in nanoseconds of its disk's clock; None: nobody does.

    To be called with the gate closed: nobody comes meanwhile.

    Args:
        root: the cache folder.
        tidy: remove what killed processes left in ``active/``.
    """
    began: list[int] = []
    for path in _standing(root):
        try:
            handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # its owner has just left
            continue
        try:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                continue
            if held(handle):
                began.append(found.st_mtime_ns)
            elif tidy:
                path.unlink(missing_ok=True)
        finally:
            os.close(handle)
    return min(began, default=None)


def _standing(root: Path) -> list[Path]:
    with suppress(OSError), os.scandir(root / ACTIVE) as entries:
        return [Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False)]
    return []


def held(handle: int) -> bool:
    """Whether somebody else has a lock on the open file or folder *handle*; when nobody has, we do from now on."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


@contextmanager
def holding(folder: Path) -> Iterator[bool]:
    """Keep *folder* from being collected for as long as this lasts; gives False when it was gone already."""
    try:
        handle = os.open(folder, _FOLDER)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield _is_at(folder, os.fstat(handle))
    finally:
        os.close(handle)


def _is_at(folder: Path, found: os.stat_result) -> bool:
    try:
        return os.path.samestat(found, os.lstat(folder))
    except OSError:
        return False
