"""Records in a directory store: one log for each name, of which the end is what holds.

Entries are only ever appended (`coopery.stores.slots`): a record, or the word that all before it is forgotten. So what
is newest is decided by who made the next number, and by nothing else: a listing that a file server's client answers
from memory may be old, but then the number that it makes one try is taken.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, Literal

from attrs import frozen

from coopery import faults
from coopery.cache import Kind, Record
from coopery.errors import CacheError
from coopery.stores import slots
from coopery.stores.lines import sealed, unsealed
from coopery.stores.rows import LIMIT, fields
from coopery.stores.shelves import Opened, Shelf, Shelves, where

_FORGOTTEN: Final[dict[str, Any]] = {"forgotten": True}
_MOST: Final = LIMIT + 4096
"""Bytes that are read of an entry: no damaged file makes us read more."""


@frozen
class _Entry:
    """What stands at *number*; the end of an empty log is ``_Entry(0, "forgotten")``."""

    number: int
    state: Literal["record", "forgotten", "damaged"]
    record: Record | None = None


class RecordLogs:
    """The folders ``resolution`` and ``placement``. Meanings are those of `coopery.cache.Cache`.

    Args:
        shelves: where.
        notice: told in a sentence of what is damaged.
    """

    def __init__(self, shelves: Shelves, notice: Callable[[str], None]) -> None:
        self._shelves = shelves
        self._notice = notice

    def get(self, kind: Kind, name: str, generation: int | None = None) -> Record | None:
        """The newest record, or that *generation* of it; None where it is absent or damaged."""
        with self._shelves.opened(_folder(kind), name, create=False) as found:
            if found is None:
                return None
            newest = self._last(found, slots.numbers(found.folder), kind, name)
            if generation is None or newest.record is None or newest.record.generation <= generation:
                right = newest.record is not None and generation in (None, newest.record.generation)
                return newest.record if right else None
            return self._earlier(found, newest, kind, name, generation)

    def put(self, record: Record, expected: int) -> Record:
        """Append *record* if the newest generation is *expected*; else the winner's."""
        if record.generation != expected + 1:
            raise CacheError(f"{_title(record)}: generation {record.generation} cannot follow {expected}")
        document = fields(record)
        _line(document, record.kind, record.name, 1)  # what cannot be written is refused before a folder is made for it
        with self._shelves.opened(_folder(record.kind), record.name, create=not expected) as found:
            stored = None if found is None else self._append(found, record, document, expected)
        if stored is None:
            raise CacheError(
                f"{_title(record)}: generation {expected} was deleted meanwhile", remedy="build again to record it anew"
            )
        faults.point("record-done")
        return stored

    def delete(self, kind: Kind, name: str) -> bool:
        """Forget every generation."""
        with self._shelves.opened(_folder(kind), name, create=False) as found:
            if found is None:
                return False
            while True:
                taken = slots.numbers(found.folder)
                if self._last(found, taken, kind, name).record is None:
                    return False
                if self._write(found, taken[0] + 1, _FORGOTTEN, kind, name):
                    break
            for number in taken:
                with suppress(PermissionError):  # a group's members cannot touch each other's: forgotten all the same
                    slots.replace(found.folder, number, slots.VOID, self._mode)
            return True

    def list(self, kind: Kind, prefix: str) -> Iterator[Record]:
        """The newest of every name that begins with *prefix*, in the order of their UTF-8 bytes."""
        kept = ((at.name or self._told(kind, at), at) for at in self._shelves.names(_folder(kind), prefix))
        for name in sorted(name for name, at in kept if name.startswith(prefix) and at == where(name)):
            record = self.get(kind, name)
            if record is not None:
                yield record

    # --- the log ------------------------------------------------------------------------------------

    @property
    def _mode(self) -> int:
        return self._shelves.custody.file_mode

    def _append(self, found: Opened, record: Record, document: dict[str, Any], expected: int) -> Record | None:
        """The record that holds from now on; None where *expected* is gone."""
        while True:
            taken = slots.numbers(found.folder)
            newest = self._last(found, taken, record.kind, record.name).record
            if newest is not None and newest.generation != expected:
                return newest
            if newest is None and expected:
                return None
            if self._write(found, max(taken, default=0) + 1, document, record.kind, record.name):
                return record

    def _write(self, found: Opened, number: int, document: dict[str, Any], kind: Kind, name: str) -> bool:
        self._shelves.custody.check_writer(found.top)
        faults.point("record-put")
        return slots.append(found.folder, number, _line(document, kind, name, number), self._mode)

    def _last(self, found: Opened, taken: Sequence[int], kind: Kind, name: str) -> _Entry:
        """What holds: the first of *taken*, from the highest down, that says something. A damaged one is set aside."""
        for number in taken:
            entry = self._read(found, number, kind, name)
            if entry is None:
                continue
            if entry.state == "damaged":
                with suppress(OSError):  # where we may only read, it stays where it is
                    data = _line(_FORGOTTEN, kind, name, number)
                    slots.set_aside(found.folder, number, data, self._mode)
            return entry
        return _Entry(0, "forgotten")

    def _earlier(self, found: Opened, newest: _Entry, kind: Kind, name: str, generation: int) -> Record | None:
        """That *generation* of the records of which *newest* is the last."""
        above = newest.record
        for number in slots.numbers(found.folder):
            if number >= newest.number:
                continue
            entry = self._read(found, number, kind, name)
            if entry is None or entry.state == "damaged":
                continue
            # Going down, generations fall: one that does not is of a time before the name was used anew.
            if entry.record is None or (above is not None and entry.record.generation >= above.generation):
                return None
            above = entry.record
            if above.generation == generation:
                return above
        return None

    def _read(self, found: Opened, number: int, kind: Kind, name: str) -> _Entry | None:
        """The entry at *number*; None where nothing is said there by anybody who counts."""
        held = slots.read(found.folder, number, _MOST)
        if held is None or held[0].startswith(slots.VOID):
            return None
        data, status = held
        if not self._shelves.custody.believes(found.top, found.path / str(number), status):
            return None
        document = unsealed(data, kind, name, str(number))
        if document is None:
            self._notice(f"{kind} {name[:80]!r}: its record is damaged and is taken for absent")
            return _Entry(number, "damaged")
        if document.pop("forgotten", False):
            return _Entry(number, "forgotten")
        return _Entry(number, "record", Record(kind, **document))

    def _told(self, kind: Kind, at: Shelf) -> str:
        """The name that the entries of a shelf whose folder does not tell it give; empty where none does."""
        with self._shelves.at(_folder(kind), at) as found:
            for number in () if found is None else slots.numbers(found.folder):
                held = slots.read(found.folder, number, _MOST) if found is not None else None
                with suppress(ValueError, TypeError, KeyError):
                    return str(json.loads((held or (b"",))[0].partition(b" ")[2])["name"])
        return ""


def _folder(kind: Kind) -> str:
    """Where records of a *kind* are; a later form of them will be kept beside this one."""
    return f"{kind}-1"


def _line(document: dict[str, Any], kind: Kind, name: str, number: int) -> bytes:
    return sealed({"name": name, **document}, kind, name, str(number))


def _title(record: Record) -> str:
    return f"{record.kind} {record.name[:80]!r}"
