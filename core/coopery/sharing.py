"""What a group's cache folder is by its permission bits, and how what is made in it becomes the group's.

A group's folder is setgid, open to the group and closed to all others (2770); what is made in it belongs to the group,
and is opened to it whatever the umask is. Nothing here follows a symlink: a member may swap what lies in such a folder
at any moment, and must not be able to have us open a file of ours elsewhere.

A hit imports this module, so that it needs nothing but `os`.
"""

from __future__ import annotations

import os
import stat
from typing import Final

FOLDER: Final = 0o2770
FILE: Final = 0o660
_MUST: Final = stat.S_ISGID | stat.S_IRWXG
_MUST_NOT: Final = stat.S_IRWXO | stat.S_ISVTX

Path = str | os.PathLike[str]


def is_shared(found: os.stat_result) -> bool:
    """Whether that is a folder of a group's."""
    return stat.S_ISDIR(found.st_mode) and found.st_mode & (_MUST | _MUST_NOT) == _MUST


def shared(folder: Path) -> bool:
    """Whether what is made in *folder* is to be a group's. False where it is not there."""
    try:
        return is_shared(os.lstat(folder))
    except OSError:
        return False


def file_mode(folder: Path, otherwise: int) -> int:
    """Permission bits of a file that is made in *folder*: a group's, or *otherwise*."""
    return FILE if shared(folder) else otherwise


def open_folder(path: Path) -> None:
    """Open the folder *path*, which we have just made in a group's, to the group. One that is not ours stays as it is.

    Raises:
        OSError: it has gone, or is something else by now.
    """
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(handle).st_uid == os.geteuid():
            os.fchmod(handle, FOLDER)
    finally:
        os.close(handle)


def open_file(path: Path) -> None:
    """The same for a file.

    Raises:
        OSError: it has gone, or is something else by now.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(handle)
        if found.st_uid == os.geteuid() and stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
            os.fchmod(handle, FILE | (0o110 if found.st_mode & 0o100 else 0))
    finally:
        os.close(handle)


def open_tree(path: Path) -> None:
    """Open the folder *path* and all folders below it to the group. Files keep their modes, which may be content.

    Raises:
        OSError: as `open_folder`.
    """
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for _, _, _, inner in os.fwalk(".", dir_fd=handle):
            if os.fstat(inner).st_uid == os.geteuid():
                os.fchmod(inner, FOLDER)
    finally:
        os.close(handle)


def make_folders(path: Path) -> None:
    """Make *path* and what is missing above it, as the umask has it; in a group's folder each is the group's.

    Raises:
        OSError: the disk refused, or a file is in the way.
    """
    path = os.fspath(path)
    try:
        os.mkdir(path)
    except FileNotFoundError:
        make_folders(os.path.dirname(path))
        make_folders(path)
        return
    except FileExistsError:
        if not os.path.isdir(path):
            raise
        return
    if shared(os.path.dirname(path)):
        open_folder(path)
