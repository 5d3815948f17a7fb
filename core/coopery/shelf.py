"""Shelves: folders below the cache folder, each declared by its owner with what makes an entry in it needed.

Core collects by these declarations alone and knows no plugin's folder. A class that is registered (a backend, a
materializer, a base source) declares its own in the attribute ``shelves``; a folder that nobody declares is somebody
else's, and is named and left alone.
"""

from __future__ import annotations

import re
from typing import ClassVar, Literal, Protocol

from attrs import frozen

Need = Literal["artifact", "image", "layer", "blobs", "nobody"]


@frozen
class Shelf:
    """One folder whose entries can each be made or fetched again.

    An entry is a file or folder directly in it. Entries that share their name up to the first dot are one.

    Attributes:
        folder: relative to the cache folder: ``packages``, ``debian/memo``.
        kind: what people call its entries, in the plural: ``packages``.
        needed_by: by what an entry's name is found to be needed. ``artifact``: it is the sha256 of a package in the
            lock of an image that is here, or of a pin. ``image``: it is the hexadecimal part of the id of an image
            that is here. ``layer``: it is that of the digest or diff id of a layer that is here. ``blobs``: it is a
            file that names layers, and no use without them. ``nobody``: it saves time and no more, and goes by age.
        names: regular expression of entries' names; others are somebody else's.
        locked: whoever uses an entry holds a lock on it (`coopery.use.holding`), so that it may go while others build.
        passing: entries last as long as somebody holds them; the others were left behind by processes that were killed.
        own: in a group's cache folder each member has one of his own, below ``members/<uid>``: what others made is not
            to be run, or cannot be changed.
        fetched: entries are what was fetched, and are verified whenever they are used: ``build --check`` uses them too.
    """

    folder: str
    kind: str
    needed_by: Need = "nobody"
    names: str = r"[0-9a-f]{64}(\.[a-z]+)?"
    locked: bool = False
    passing: bool = False
    fetched: bool = False
    own: bool = False

    def owns(self, name: str) -> bool:
        """Whether an entry called *name* is of this shelf."""
        return re.fullmatch(self.names, name) is not None


class Owner(Protocol):
    """What a registered class satisfies that keeps something below the cache folder."""

    shelves: ClassVar[tuple[Shelf, ...]]


def shelves_of(registered: object) -> tuple[Shelf, ...]:
    """The shelves that a registered class declares; none where it keeps nothing."""
    shelves: tuple[Shelf, ...] = getattr(registered, "shelves", ())
    return shelves
