"""Folders and files that are their owner's alone: made 0700 and 0600, refused where somebody else could have a hand in.

What is kept here is trusted on the next read, so that whoever may write here decides what is run later.

A folder may be a group's instead: where it says so itself (the file `GROUP` at its top, and its permission bits), and
we are in that group. `coopery cache init` makes one; docs/sharing.md states the rules.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Final

from coopery import sharing
from coopery.errors import CacheError

GROUP: Final = ".coopery-group"
"""File at the top of a group's cache folder: its name, for people. Without it nobody takes one for a group's."""

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def make_folder(path: Path) -> None:
    """Make *path*, readable by its owner only; what is missing above it comes by the ordinary umask.

    A folder that is there is left as it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)


def make_inner(path: Path) -> None:
    """Make the folder *path* in a cache folder: its owner's alone, or the group's in a group's.

    Raises:
        OSError: the disk refused.
    """
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if not path.is_dir():
            raise
        return
    if sharing.shared(path.parent):
        sharing.open_folder(path)


def make_file(path: Path) -> None:
    """Make *path*, empty, 0600 or the group's, unless something is there. Never follows a link."""
    with contextlib.suppress(FileExistsError):
        make_new_file(path)


def make_new_file(path: Path) -> None:
    """As `make_file`; what is there is an error.

    Raises:
        FileExistsError, OSError: it is, or the disk refused.
    """
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_WRONLY, 0o600)
    try:
        if sharing.shared(path.parent):
            os.fchmod(handle, sharing.FILE)
    finally:
        os.close(handle)


def check_folder(path: Path) -> bool:
    """Whether the folder *path* exists and can be trusted.

    Its last component is looked at; links above it (a home folder elsewhere) are ordinary.

    Returns:
        False when nothing is there.

    Raises:
        CacheError: a symlink, no folder, somebody else's, or writable by others; or a group's that we are not in.
    """
    found = _lstat(path)
    if found is None:
        return False
    if stat.S_ISLNK(found.st_mode):
        remedy = f"name the folder itself: {os.path.realpath(path)}"
        raise CacheError(f"{path}: refused, it is a symlink, which others may have put there", remedy=remedy)
    if not stat.S_ISDIR(found.st_mode):
        raise CacheError(f"{path}: expected a folder", remedy="remove it, or set COOPERY_HOME to another folder")
    if _is_group_s(path, found):
        _check_group(path, found)
        return True
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
    above = _lstat(path.parent)
    if above is not None and sharing.is_shared(above):
        _check_shared_file(path, found, above)
    else:
        _check_owner(path, found)
    return found


def tighten_folder(path: Path) -> None:
    """Take everybody else's rights away from a folder of ours that a generous umask gave them."""
    found = _lstat(path)
    ours = found is not None and stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if found is not None and _is_group_s(path, found):
        return
    if found is not None and ours and found.st_mode & _OTHERS_WRITE:
        os.chmod(path, 0o700, follow_symlinks=os.chmod not in os.supports_follow_symlinks)


def _lstat(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise CacheError(f"{path}: cannot be looked at: {exc.strerror}") from exc


def is_group_s(path: Path) -> bool:
    """Whether the folder *path* is a group's and says so."""
    found = _lstat(path)
    return found is not None and _is_group_s(path, found) and sharing.is_shared(found)


def _is_group_s(path: Path, found: os.stat_result) -> bool:
    """Whether the folder *path* says that it is a group's. One that is closed to us is, by its permission bits."""
    try:
        marked = stat.S_ISREG(os.lstat(path / GROUP).st_mode)
    except PermissionError:
        return sharing.is_shared(found)
    except OSError:
        return False
    return marked


def _check_group(path: Path, found: os.stat_result) -> None:
    """Let a group's folder pass, or not.

    Raises:
        CacheError: we are not in the group, it is open to others, or anybody could have put it there.
    """
    if os.geteuid() != 0 and found.st_gid not in (os.getegid(), *os.getgroups()):
        raise CacheError(
            f"{path}: refused, it is of group {group_name(found.st_gid)}, which you are not in",
            remedy=f"ask its owner (user {found.st_uid}), or set COOPERY_HOME to a folder of your own",
        )
    if not sharing.is_shared(found):
        raise CacheError(
            f"{path}: refused, a group's folder has mode {sharing.FOLDER:04o}, and this one "
            f"{stat.S_IMODE(found.st_mode):04o}",
            remedy=f"its owner can: chmod {sharing.FOLDER:04o} {path}",
        )
    above = _lstat(path.parent)
    if above is not None and above.st_mode & stat.S_IWOTH:
        raise CacheError(
            f"{path}: refused, in {path.parent} anybody may have made it, and called it a group's",
            remedy="have it made elsewhere: coopery cache init --group NAME FOLDER",
        )


def _check_shared_file(path: Path, found: os.stat_result, above: os.stat_result) -> None:
    """Let a file in a group's folder pass, whoever of the group made it.

    Raises:
        CacheError: it is not the group's, or others could have written it, or it is closed to the group.
    """
    foreign = found.st_gid != above.st_gid and found.st_uid not in (os.geteuid(), 0)
    if foreign or found.st_mode & stat.S_IWOTH:
        raise CacheError(
            f"{path}: refused, it is not of the folder's group, or others may write it",
            remedy="look who put it there, then remove it",
        )
    if not os.access(path, os.R_OK):
        raise CacheError(
            f"{path}: closed to the group (user {found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o})",
            remedy=f"that user, or root: coopery cache init --group {group_name(above.st_gid)} {path.parent}",
        )


def check_inner_folders(root: Path) -> None:
    """See that what stands directly in the group's folder *root* are folders of the group's, and no links.

    Raises:
        CacheError: a link, which a member could have us write through, or a folder that is closed to the group.
    """
    gid = os.lstat(root).st_gid
    with os.scandir(root) as entries:
        for entry in entries:
            found = entry.stat(follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                raise CacheError(
                    f"{entry.path}: refused, it is a symlink in a group's folder",
                    remedy="look who put it there, then remove it",
                )
            if stat.S_ISDIR(found.st_mode) and not sharing.is_shared(found):
                raise CacheError(
                    f"{entry.path}: closed to the group, or open to others (user {found.st_uid}, "
                    f"mode {stat.S_IMODE(found.st_mode):04o})",
                    remedy=f"that user, or root: coopery cache init --group {group_name(gid)} {root}",
                )


def group_name(gid: int) -> str:
    """What group *gid* is called here; its number where it has no name."""
    import grp  # only for messages

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _check_owner(path: Path, found: os.stat_result) -> None:
    # What is root's is no worse than the system itself, and is how an administrator hands out a read-only cache.
    if found.st_uid not in (os.geteuid(), 0):
        raise CacheError(
            f"{path}: refused, it belongs to user {found.st_uid}, not to you ({os.geteuid()})",
            remedy="set COOPERY_HOME to a folder of your own",
        )
