"""Everything in a cache folder, looked at once: what each thing is, how much it takes, and when it was last used.

Sizes are what the disk gives (blocks of 512 bytes, as ``du`` counts them), folders included; what has several names is
counted once. No symlink is followed: one that stands where a folder of ours should is somebody else's.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import groupby
from typing import Final

from attrs import evolve, field, frozen

from coopery.blobs import disk_error
from coopery.home import MEMBERS, NAME, TAG, Home
from coopery.private import GROUP
from coopery.shelf import Shelf

BLOBS: Final = "images/blobs/sha256"
STAGING: Final = Shelf("staging", "staging", names=r"(?:[a-z]+-)+[a-z0-9_]{8}", passing=True)
SHELVES: Final = (
    Shelf("layers/cut", "indexes", "blobs"),
    Shelf("layers/shapes", "indexes"),
    Shelf("snapshots", "snapshots", "blobs", names=r"[A-Za-z0-9][A-Za-z0-9._-]*\.json"),
    Shelf("bytecode", "bytecode"),
    Shelf("interpreters", "interpreters", names=r"[0-9a-f]{64}|empty", fetched=True, own=True),
    Shelf("logs", "logs", names=r"[0-9a-z]{1,128}"),
    STAGING,
)
"""Core's own; plugins declare theirs."""

_RECORDS: Final = re.compile(r"records(-leases)?\.sqlite(-journal|-wal|-shm|\.corrupt-.*)?")
_KEPT: Final = {"pins": "records", "active": "records"}
_LAYOUT_FILES: Final = frozenset({"oci-layout", "index.json", ".index.lock"})
_HEX: Final = re.compile(r"[0-9a-f]{64}")


@frozen
class Item:
    """One thing: a blob, a package, a log folder.

    Attributes:
        kind: what people call it, in the plural.
        name: relative to the cache folder.
        paths: what it consists of; the first is the thing itself.
        size: bytes on disk.
        used: nanoseconds since 1970: when it was made, or marked since.
        shelf: where it lies; None for what is no entry of a shelf.
    """

    kind: str
    name: str
    paths: tuple[str, ...]
    size: int
    used: int
    shelf: Shelf | None = None

    @property
    def stem(self) -> str:
        """Its name up to the first dot: for most, 64 hexadecimal digits."""
        return os.path.basename(self.paths[0]).partition(".")[0]


@frozen
class Census:
    """A cache folder at one moment.

    Attributes:
        items: entries of shelves.
        blobs: by their hexadecimal digits.
        kept: what is never collected: records, pins, the layout's own files.
        foreign: what Coopery did not make.
        folders: bytes of the folders that hold all these.
    """

    items: tuple[Item, ...]
    blobs: dict[str, Item] = field(hash=False)
    kept: tuple[Item, ...]
    foreign: tuple[Item, ...]
    folders: int

    @property
    def total(self) -> int:
        """Bytes of everything, as ``du -s`` has it."""
        return self.folders + sum(item.size for item in (*self.items, *self.blobs.values(), *self.kept, *self.foreign))


def take(home: Home, shelves: Iterable[Shelf] = ()) -> Census:
    """Look at all of *home*; *shelves* are those of plugins.

    Raises:
        CacheError: the disk refused.
    """
    try:
        return _Walk(str(home.root), _all(home, shelves)).census()
    except OSError as exc:
        raise disk_error(exc) from exc


def _all(home: Home, shelves: Iterable[Shelf]) -> tuple[Shelf, ...]:
    """Core's shelves and *shelves*; in a group's folder those that are this member's own as well."""
    found = (*SHELVES, *shelves)
    if not home.shared:
        return found
    mine = (shelf for shelf in found if shelf.own or shelf is STAGING)
    return (*found, *(evolve(shelf, folder=f"{MEMBERS}/{os.geteuid()}/{shelf.folder}") for shelf in mine))


class _Walk:
    def __init__(self, root: str, shelves: Iterable[Shelf]) -> None:
        self._root = root
        self._shelves = {shelf.folder: shelf for shelf in shelves}
        self._above = {above for folder in (*self._shelves, BLOBS) for above in _above(folder)}
        self._seen: set[tuple[int, int]] = set()
        self._items: list[Item] = []
        self._blobs: dict[str, Item] = {}
        self._kept: list[Item] = []
        self._foreign: list[Item] = []
        self._folders = 0

    def census(self) -> Census:
        if os.path.isdir(self._root):
            self._folders += _blocks(os.lstat(self._root))
            self._look("")
        return Census(tuple(self._items), self._blobs, tuple(self._kept), tuple(self._foreign), self._folders)

    def _look(self, folder: str) -> None:
        """Everything directly in *folder*, which is above shelves, or is one."""
        shelf = self._shelf(folder)
        found = sorted(self._entries(folder), key=lambda entry: entry.name)
        own = []
        for entry in found:
            name = f"{folder}/{entry.name}".lstrip("/")
            real = entry.is_dir(follow_symlinks=False)
            if real and (name in self._above or self._shelf(name) is not None or name == BLOBS):
                self._folders += _blocks(entry.stat(follow_symlinks=False))
                self._look(name)
            elif shelf is not None and not entry.is_symlink() and shelf.owns(entry.name):
                own.append(entry)
            else:
                self._note(folder, name, entry)
        if shelf is not None:
            for stem, entries in groupby(own, key=lambda entry: entry.name.partition(".")[0]):
                self._items.append(self._item(shelf.kind, f"{folder}/{stem}", entries, shelf))

    def _note(self, folder: str, name: str, entry: os.DirEntry[str]) -> None:
        item = partial(self._item, name=name, entries=[entry])
        regular = entry.is_file(follow_symlinks=False)
        if folder == BLOBS and regular and _HEX.fullmatch(entry.name):
            self._blobs[entry.name] = item("blobs")
        elif folder == "" and entry.is_dir(follow_symlinks=False) and entry.name in _KEPT:
            self._kept.append(item(_KEPT[entry.name]))
        elif folder == MEMBERS:  # another member's own
            self._kept.append(item("others' own"))
        elif folder == "" and regular and (entry.name in (NAME, TAG, GROUP) or _RECORDS.fullmatch(entry.name)):
            self._kept.append(item("records"))
        elif folder == "images" and regular and entry.name in _LAYOUT_FILES:
            self._kept.append(item("images"))
        else:
            self._foreign.append(item("other"))

    def _shelf(self, folder: str) -> Shelf | None:
        """The shelf at *folder*. Whatever lies beside the blobs is found out about layers (`BlobStore.beside`)."""
        above, _, name = folder.rpartition("/")
        if above == "images" and name != "blobs":
            return Shelf(folder, "indexes", "layer")
        return self._shelves.get(folder)

    def _entries(self, folder: str) -> Iterator[os.DirEntry[str]]:
        with os.scandir(os.path.join(self._root, folder)) as entries:
            yield from entries

    def _item(self, kind: str, name: str, entries: Iterable[os.DirEntry[str]], shelf: Shelf | None = None) -> Item:
        paths, size, used = [], 0, 0
        for entry in entries:
            taken, when = self._measure(entry, deep=kind in (STAGING.kind, "logs"))
            paths.append(entry.path)
            size, used = size + taken, max(used, when)
        return Item(kind, name, tuple(paths), size, used, shelf)

    def _measure(self, entry: os.DirEntry[str], *, deep: bool) -> tuple[int, int]:
        """Bytes of *entry* and all below it, and its time; *deep*: the newest time of all below it."""
        found = _stat(entry)
        if found is None:
            return 0, 0
        size, used = self._count(found), found.st_mtime_ns
        todo = [entry.path] if stat.S_ISDIR(found.st_mode) else []
        while todo:
            for below in _scanned(todo.pop()):
                found = _stat(below)
                if found is None:
                    continue
                size += self._count(found)
                if deep:
                    used = max(used, found.st_mtime_ns)
                if stat.S_ISDIR(found.st_mode):
                    todo.append(below.path)
        return size, used

    def _count(self, found: os.stat_result) -> int:
        if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
            inode = (found.st_dev, found.st_ino)
            if inode in self._seen:
                return 0
            self._seen.add(inode)
        return found.st_blocks * 512


def _scanned(path: str) -> list[os.DirEntry[str]]:
    """What is in the folder *path*; nothing where it has gone meanwhile."""
    try:
        with os.scandir(path) as entries:
            return list(entries)
    except (FileNotFoundError, PermissionError):  # the latter: another member's own
        return []


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None


def _above(folder: str) -> Iterator[str]:
    while "/" in folder:
        folder = folder.rpartition("/")[0]
        yield folder


def _blocks(found: os.stat_result) -> int:
    return found.st_blocks * 512
