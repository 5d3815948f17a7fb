"""Whose a directory store is: its owner's alone, or a group's. Judged on what is open, never on a path.

A *private* store is made 0700 and 0600, and whatever somebody else owns or may write in it is refused.

A *group's* folders are 3770: setgid, so that what is made in them is the group's, and sticky, so that no member can
take away or replace what another one wrote. Its files are 0640. Others get nothing. Where a file ``writers`` stands at
the top, made by the owner of the top folder, only those that it names (one user on each line) are believed; the kernel
says whose a file is.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final, Protocol

from attrs import frozen

from coopery.errors import CacheError

WRITERS: Final = "writers"
_MOST: Final = 1 << 20
"""Bytes of the largest list of writers."""


class Custody(Protocol):
    """Judges folders and files by their status, and says with which permission bits new ones are made."""

    @property
    def folder_mode(self) -> int:
        """Permission bits of a new folder."""
        ...

    @property
    def file_mode(self) -> int:
        """Permission bits of a new file."""
        ...

    def check_folder(self, path: Path, found: os.stat_result) -> None:
        """Let an open folder pass, or not.

        Raises:
            CacheError: somebody could have a hand in it who must not.
        """
        ...

    def believes(self, top: int, path: Path, found: os.stat_result) -> bool:
        """Whether the open file *path* may be believed; one that may not says nothing. *top* is the top folder, open.

        Raises:
            CacheError: it must not even be there.
        """
        ...

    def check_writer(self, top: int) -> None:
        """Let this process write, or not.

        Raises:
            CacheError: nobody would believe it.
        """
        ...


@frozen
class Private:
    """One user's store. What is root's may be read: that is how an administrator hands out a read-only one."""

    folder_mode: int = 0o700
    file_mode: int = 0o600

    def check_folder(self, path: Path, found: os.stat_result) -> None:
        """See `Custody.check_folder`."""
        if found.st_uid not in (os.geteuid(), 0):
            raise CacheError(
                f"{path}: refused, it belongs to user {found.st_uid}, not to you ({os.geteuid()})",
                remedy="name a folder of your own, or share it: directory:PATH?mode=group",
            )
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise CacheError(
                f"{path}: refused, others may write here (mode {stat.S_IMODE(found.st_mode):04o})",
                remedy=f"chmod go-w {path}, or share it with its group: directory:PATH?mode=group",
            )

    def believes(self, top: int, path: Path, found: os.stat_result) -> bool:  # noqa: ARG002 - the protocol's
        """See `Custody.believes`."""
        if found.st_uid not in (os.geteuid(), 0):
            raise CacheError(
                f"{path}: refused, it belongs to user {found.st_uid}, not to you ({os.geteuid()})",
                remedy="look who put it there, then remove it",
            )
        return True

    def check_writer(self, top: int) -> None:
        """See `Custody.check_writer`. Who may open the folder may write."""


@frozen
class Group:
    """A store of all members of the group that owns its top folder."""

    folder_mode: int = 0o3770
    file_mode: int = 0o640

    def check_folder(self, path: Path, found: os.stat_result) -> None:
        """See `Custody.check_folder`."""
        mode = stat.S_IMODE(found.st_mode)
        if found.st_gid not in (os.getegid(), *os.getgroups()) and os.geteuid() != 0:
            raise CacheError(
                f"{path}: refused, it is of group {found.st_gid}, which you are not in",
                remedy="ask its owner, or name a folder of a group of yours",
            )
        if mode & self.folder_mode != self.folder_mode or mode & 0o007:
            raise CacheError(
                f"{path}: refused, a group's folder has mode {self.folder_mode:04o}, this one {mode:04o}",
                remedy=f"its owner can: chmod {self.folder_mode:o} {path}",
            )

    def believes(self, top: int, path: Path, found: os.stat_result) -> bool:  # noqa: ARG002 - the protocol's
        """See `Custody.believes`."""
        whose = os.fstat(top)
        if found.st_gid != whose.st_gid or found.st_mode & (stat.S_IWGRP | stat.S_IRWXO):
            return False
        named = _writers(top, whose)
        return named is None or found.st_uid in named

    def check_writer(self, top: int) -> None:
        """See `Custody.check_writer`."""
        named = _writers(top, os.fstat(top))
        if named is not None and os.geteuid() not in named:
            raise CacheError(
                f"user {os.geteuid()} is not among the {WRITERS!r} of this store, so that nobody would believe it",
                remedy="use it with ?readonly=true behind a store of your own, or ask its owner",
            )


def _writers(top: int, whose: os.stat_result) -> frozenset[int] | None:
    """The users that the store believes; None where it believes every member.

    Raises:
        CacheError: the list was not made by the folder's owner, or names somebody who is unknown here.
    """
    try:
        handle = os.open(WRITERS, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=top)
    except FileNotFoundError:
        return None
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        theirs = found.st_uid not in (whose.st_uid, 0)
        if theirs or not stat.S_ISREG(found.st_mode) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise CacheError(
                f"the list {WRITERS!r} is refused: it is not the folder owner's own",
                remedy="its owner makes it anew, mode 0640",
            )
        text = file.read(_MOST).decode(errors="replace")
    return frozenset({whose.st_uid, *(_uid(line.strip()) for line in text.splitlines() if line.strip())})


def _uid(name: str) -> int:
    import pwd  # only where writers are listed

    if name.isdecimal():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError as exc:
        raise CacheError(f"the list {WRITERS!r} names {name!r}, whom this machine does not know") from exc
