"""Users and groups by the image's own /etc/passwd and /etc/group, never by the host's.

Forms and fallbacks are those of a Dockerfile's USER and ``COPY --chown``: ``name``, ``uid``, ``name:group`` and
``uid:gid``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from attrs import frozen

from coopery.backend import Snapshot
from coopery.errors import BackendError, StepError
from coopery.facts import find
from coopery.files import Files

_MAX_FILE: Final = 1 << 20
_MAX_ID: Final = (1 << 32) - 2  # the last value means "no id" to the kernel


class UnknownUser(LookupError):  # noqa: N818 - says the state; callers turn it into their own error
    """A name that the image does not have. The message names it and the file."""


@frozen
class Account:
    """Whom a process runs as: ids, further groups, and the home folder."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"


def account(files: Files, user: str) -> Account:
    """Whom USER *user* means in the image; root where it is empty.

    Raises:
        UnknownUser: a name that /etc/passwd or /etc/group lacks, or a number that is no id.
    """
    name, _, group = (user or "0").partition(":")
    entry = _passwd(files, name)
    if entry is None and not _is_id(name):
        raise UnknownUser(f"the image has no user {name!r} in /etc/passwd")
    uid = int(entry[2] if entry else name)
    gid = group_id(files, group) if group else int(entry[3]) if entry else 0
    login = entry[0] if entry else ""
    groups = tuple(int(line[2]) for line in _lines(files, "/etc/group", 4) if login and login in line[3].split(","))
    home = entry[5] if entry and entry[5].startswith("/") else "/"
    return Account(uid, gid, groups or (gid,), home)


def runs_as(files: Files, user: str, place: str) -> Account:
    """Whom the step at *place* runs as: `account`.

    Raises:
        StepError: the image has no such user.
    """
    try:
        return account(files, user)
    except UnknownUser as exc:
        raise StepError(f"{place}: cannot run as {user!r}: {exc}", remedy="add the user first") from exc


@contextmanager
def telling(files: Callable[[], Files], base: Snapshot, place: str) -> Iterator[None]:
    """Within it, the step at *place* is run on *base*. A user that is not there is told alike for every engine.

    Each has words and a class of its own for that, and none is asked for them: where it did not run the step, the
    image's own files are looked at.

    Raises:
        StepError: it did not run, as the image, whose files are *files*, lacks its user.
    """
    try:
        yield
    except BackendError:
        runs_as(files(), str((json.loads(base.config).get("config") or {}).get("User") or ""), place)
        raise


def owner(files: Files, text: str) -> tuple[int, int]:
    """Numeric owner of copied files. A lone number is the group's number too, as for ``COPY --chown``.

    Raises:
        UnknownUser: as `account`.
    """
    name, _, group = text.partition(":")
    if _is_id(name):
        return int(name), group_id(files, group) if group else int(name)
    found = account(files, text)
    return found.uid, found.gid


def group_id(files: Files, group: str) -> int:
    """Numeric id of *group*, a name or a number.

    Raises:
        UnknownUser: /etc/group lacks it.
    """
    for line in _lines(files, "/etc/group", 3):
        if line[0] == group:
            return int(line[2])
    if _is_id(group):
        return int(group)
    raise UnknownUser(f"the image has no group {group!r} in /etc/group")


def _passwd(files: Files, name: str) -> list[str] | None:
    """The entry of *name*: by name first, then by number."""
    entries = [line for line in _lines(files, "/etc/passwd", 6) if _is_id(line[3])]
    by_name = next((line for line in entries if line[0] == name), None)
    return by_name or next((line for line in entries if _is_id(name) and int(line[2]) == int(name)), None)


def _lines(files: Files, path: str, fields: int) -> list[list[str]]:
    """Lines of *path* with at least *fields* fields and a number in the third; the rest is not for us."""
    found = find(files, path)
    if found is None or found.stat is None or found.stat.kind != "file":
        return []
    text = files.read(found.path, _MAX_FILE).decode("utf-8", "replace")
    lines = [line.split(":") for line in text.splitlines()]
    return [line for line in lines if len(line) >= fields and _is_id(line[2])]


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= _MAX_ID
