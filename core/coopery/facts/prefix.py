"""Where the prefix really is in a base, and which folders above it are there already.

A layer that lists ``opt/env`` upon a base whose ``/opt`` is a symlink gives one tree in Docker, which replaces the
link, and another in Apptainer, which follows it. So the prefix is moved to what it resolves to before any layer is cut.
"""

from __future__ import annotations

from attrs import frozen

from coopery.errors import BaseError
from coopery.facts.walk import Found, Obstacle, follow, word
from coopery.files import Files
from coopery.target import Parent

_REMEDY = "choose another prefix in the definition, or another base"


@frozen
class PrefixPlace:
    """The answer: the real path, whether something lives there, and the existing folders above it, ``/`` left out."""

    path: str
    occupied: bool
    parents: tuple[Parent, ...]


def locate(files: Files, prefix: str) -> PrefixPlace:
    """Find *prefix* (absolute) in the base.

    Raises:
        BaseError: a symlink on the way loops, dangles or climbs out of the image, or something that is no folder is
            in the way.
    """
    found = _followed(files, prefix)
    if found.stat is not None and found.stat.kind != "directory":
        raise BaseError(f"prefix {prefix}: the base has a {word(found.stat)} at {found.path}", remedy=_REMEDY)
    occupied = found.stat is not None and bool(files.listdir(found.path))
    return PrefixPlace(found.path, occupied, tuple(_parents(files, found.path)))


def _followed(files: Files, prefix: str) -> Found:
    try:
        found = follow(files, prefix)
    except Obstacle as exc:
        raise BaseError(f"prefix {prefix}: in the base, {exc}", remedy=_REMEDY) from exc
    if found.dangling:
        message = f"prefix {prefix}: in the base, the symlink {found.dangling} names {found.path}, which is missing"
        raise BaseError(message, remedy=_REMEDY)
    if found.escaping:
        message = f"prefix {prefix}: in the base, the symlink {found.escaping} climbs out of the image"
        raise BaseError(message, remedy=_REMEDY)
    return found


def _parents(files: Files, path: str) -> list[Parent]:
    names = path.strip("/").split("/")
    above = ["/" + "/".join(names[:count]) for count in range(1, len(names))]
    stats = [(folder, files.lstat(folder)) for folder in above]
    return [Parent(folder, stat.mode & 0o7777, stat.uid, stat.gid) for folder, stat in stats if stat is not None]
