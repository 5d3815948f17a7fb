"""Making a group's cache folder, and putting right one in which somebody's umask, or root, has closed things."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from attrs import frozen

from coopery import private, sharing
from coopery.blobs import disk_error
from coopery.collect import census
from coopery.errors import CacheError, UsageError
from coopery.home import MEMBERS, Home
from coopery.shelf import Shelf


@frozen
class Founded:
    """A group's cache folder. ``opened`` are files and folders in it that were put right; relative paths."""

    home: str
    group: str
    opened: tuple[str, ...] = ()


def found(path: Path, group: str, shelves: tuple[Shelf, ...]) -> Founded:
    """Make *path* the cache folder of *group*; one that is, is put right as far as we may.

    Raises:
        UsageError: no such group, or one that we are not in; or a folder of other things.
        CacheError: the disk refused.
    """
    gid = _gid(group)
    try:
        before = path.is_dir() and bool(os.listdir(path))
        if before and not _may_become(path):
            raise UsageError(
                f"{path}: it has other things in it, and is no group's cache folder",
                remedy="name a folder that is new or empty; coopery cache copy brings what a private one has",
            )
        path.mkdir(parents=True, exist_ok=True)
        _own(path, gid)
        private.make_file(path / private.GROUP)
        _write_name(path / private.GROUP, group, gid)
        if not before:
            Home(path).make()  # says first whose folder it is
        private.check_folder(path)
        for folder in (*(shelf.folder for shelf in (*census.SHELVES, *shelves) if not shelf.own), MEMBERS, "pins"):
            sharing.make_folders(path / folder)
        sharing.make_folders(path / census.BLOBS)
        opened = _put_right(path, gid) if before else ()
    except OSError as exc:
        raise disk_error(exc) from exc
    Home(path).make()
    return Founded(str(path), private.group_name(gid), opened)


def _gid(group: str) -> int:
    import grp

    try:
        gid = int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    except KeyError as exc:
        raise UsageError(f"{group!r}: this machine knows no such group") from exc
    if os.geteuid() != 0 and gid not in (os.getegid(), *os.getgroups()):
        raise UsageError(f"{group!r}: you are not in this group", remedy="have a member of it do this, or root")
    return gid


def _may_become(path: Path) -> bool:
    return (path / private.GROUP).is_file()


def _own(path: Path, gid: int) -> None:
    """The folder itself: opened by descriptor, so that no link is followed."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(handle)
        if found.st_gid != gid:
            os.fchown(handle, -1, gid)
        if stat.S_IMODE(found.st_mode) != sharing.FOLDER or found.st_gid != gid:
            os.fchmod(handle, sharing.FOLDER)
    except PermissionError as exc:
        raise CacheError(
            f"{path}: it belongs to user {found.st_uid}", remedy="have that user do this, or root"
        ) from exc
    finally:
        os.close(handle)


def _write_name(path: Path, group: str, gid: int) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "wb") as file:
        file.write(f"{group}\n".encode())
        if os.fstat(file.fileno()).st_gid != gid:
            os.fchown(file.fileno(), -1, gid)


def _put_right(path: Path, gid: int) -> tuple[str, ...]:
    """Open to the group what is ours (to root: everything) and closed. Files of packages keep their modes."""
    opened = []
    top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for folder, names, files, handle in os.fwalk(".", dir_fd=top):
            below = folder.removeprefix(".").lstrip("/")
            if below == MEMBERS:
                names.clear()
            if _open(handle, gid, folder=True):
                opened.append(below)
            for name in files:
                if _is_packaged(below):
                    continue
                if _open_in(handle, name, gid):
                    opened.append(f"{below}/{name}".lstrip("/"))
    finally:
        os.close(top)
    return tuple(sorted(opened))


def _is_packaged(below: str) -> bool:
    """Whether that is inside a package, whose files' modes are content."""
    return below.startswith("packages/") and below.count("/") >= 1 and len(below.split("/")[1]) == 64


def _open_in(folder: int, name: str, gid: int) -> bool:
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:  # a link, gone meanwhile, or another member's and closed: his to put right
        return False
    try:
        return _open(handle, gid, folder=False)
    finally:
        os.close(handle)


def _open(handle: int, gid: int, *, folder: bool) -> bool:
    """Whether what is open had to be put right, and could be."""
    found = os.fstat(handle)
    wanted = sharing.FOLDER if folder else sharing.FILE | (0o110 if found.st_mode & 0o100 else 0)
    right = found.st_gid == gid and stat.S_IMODE(found.st_mode) & ~0o110 == wanted & ~0o110
    if right or os.geteuid() not in (0, found.st_uid) or (not folder and found.st_nlink > 1):
        return False
    if found.st_gid != gid:
        os.fchown(handle, -1, gid)
    os.fchmod(handle, wanted)
    return True
