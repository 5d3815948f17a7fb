"""Records in the SQLite store: compare-and-set on the generation, older generations kept apart."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import partial
from typing import Final

from coopery import faults
from coopery.cache import Kind, Record
from coopery.errors import CacheError
from coopery.stores.database import Database
from coopery.stores.rows import fields, pack, unpack

_PAGE: Final = 256
"""Records read at a time by `RecordTable.list`, so that a slow reader never keeps writers out."""

_STRAYS: Final = (
    "SELECT (SELECT count(*) FROM records_1)"
    " - (SELECT count(*) FROM records_1 WHERE kind = 'resolution' AND name >= '' AND name < x'')"
    " - (SELECT count(*) FROM records_1 WHERE kind = 'placement' AND name >= '' AND name < x'')"
)
"""Records where nobody looks for them: their kind is none, their name is no text, or they are out of their order."""

_Row = tuple[bytes, bytes, object, object]
_NO_ROWS: Final[list[_Row]] = []


class RecordTable:
    """The tables ``records_1`` and ``history_1``. Meanings are those of `coopery.cache.Cache`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, kind: Kind, name: str, generation: int | None = None) -> Record | None:
        """The newest record, or that *generation* of it; None where it is absent or damaged."""
        return self._database.read(lambda connection: self._find(connection, kind, _text(name), generation), None)

    def put(self, record: Record, expected: int) -> Record:
        """Store *record* if the newest generation is *expected*; else the winner's."""
        _text(record.name)
        if record.generation != expected + 1:
            raise CacheError(f"{_title(record)}: generation {record.generation} cannot follow {expected}")
        stored = self._database.write(lambda connection: self._replace(connection, record, expected))
        faults.point("record-done")
        return stored

    def delete(self, kind: Kind, name: str) -> bool:
        """Forget every generation."""
        key = (kind, _text(name))
        known = "SELECT 1 FROM records_1 WHERE kind = ? AND name = ?"
        if self._database.read(lambda connection: connection.execute(known, key).fetchone(), None) is None:
            return False
        return self._database.write(lambda connection: _erase(connection, *key))

    def list(self, kind: Kind, prefix: str) -> Iterator[Record]:
        """The newest of every name that begins with *prefix*, in the order of their UTF-8 bytes."""
        if not prefix and (strays := self._database.read(_strays, 0)):
            self._database.notice(
                f"{self._database.path}: {strays} of its records have a damaged key: taken for absent"
            )
        after: bytes | None = None
        of = kind.encode()
        while True:
            rows = self._database.read(partial(_page, kind=kind, prefix=prefix, after=after), _NO_ROWS)
            for stands, name, data, seal in rows:
                # SQLite finds a row by its place: one of a damaged kind may stand where those of ours do.
                record = self._read(kind, name.decode(errors="replace"), data, seal if stands == of else None)
                if record is not None:
                    yield record
            # In a damaged tree names may come out of order: going on only upwards is what ends this loop.
            last = rows[-1][1] if rows else b""
            if len(rows) < _PAGE or (after is not None and last <= after):
                return
            after = last

    def _find(self, connection: sqlite3.Connection, kind: Kind, name: str, generation: int | None) -> Record | None:
        newest = self._newest(connection, kind, name)
        if generation is None or (newest is not None and newest.generation == generation):
            return newest
        row = connection.execute(
            "SELECT data, seal FROM history_1 WHERE kind = ? AND name = ? AND generation = ?", (kind, name, generation)
        ).fetchone()
        record = None if row is None else self._read(kind, name, *row)
        return record if record is not None and record.generation == generation else None

    def _newest(self, connection: sqlite3.Connection, kind: Kind, name: str) -> Record | None:
        row = connection.execute(
            "SELECT data, seal FROM records_1 WHERE kind = ? AND name = ?", (kind, name)
        ).fetchone()
        return None if row is None else self._read(kind, name, *row)

    def _replace(self, connection: sqlite3.Connection, record: Record, expected: int) -> Record:
        key = (record.kind, record.name)
        newest = self._newest(connection, *key)
        if newest is not None and newest.generation != expected:
            return newest
        if newest is None and expected:
            raise CacheError(
                f"{_title(record)}: generation {expected} was deleted meanwhile", remedy="build again to record it anew"
            )
        if newest is None:
            _erase(connection, *key)  # a damaged record is none: its name starts anew
        else:
            connection.execute(
                "INSERT OR REPLACE INTO history_1 SELECT kind, name, ?, data, seal FROM records_1"
                " WHERE kind = ? AND name = ?",
                (expected, *key),
            )
        row = pack(fields(record), *key)
        connection.execute("INSERT OR REPLACE INTO records_1 VALUES (?, ?, ?, ?)", (*key, *row))
        faults.point("record-put")
        return record

    def _read(self, kind: Kind, name: str, data: object, seal: object) -> Record | None:
        document = unpack(data, seal, kind, name)
        if document is None:
            self._database.notice(f"{kind} {name[:80]!r}: its record is damaged and is taken for absent")
            return None
        return Record(kind, name, **document)


def _erase(connection: sqlite3.Connection, kind: Kind, name: str) -> bool:
    erased = connection.execute("DELETE FROM records_1 WHERE kind = ? AND name = ?", (kind, name)).rowcount
    connection.execute("DELETE FROM history_1 WHERE kind = ? AND name = ?", (kind, name))
    return erased > 0


def _page(connection: sqlite3.Connection, kind: Kind, prefix: str, after: bytes | None) -> list[_Row]:
    # Names are compared and read as bytes: a damaged one may not be UTF-8, and 0xff is above all that begin alike.
    first = _text(prefix).encode()
    rows = connection.execute(
        "SELECT CAST(kind AS BLOB), CAST(name AS BLOB), data, seal FROM records_1"
        " WHERE kind = ? AND name >= CAST(? AS TEXT) AND name < CAST(? AS TEXT)"
        " AND (? OR name > CAST(? AS TEXT)) ORDER BY name LIMIT ?",
        (kind, after or first, first + b"\xff", after is None, after or b"", _PAGE),
    )
    return [(stands or b"", name or b"", data, seal) for stands, name, data, seal in rows]


def _strays(connection: sqlite3.Connection) -> int:
    """How many records stand where nobody asks: damaged in their key, so that no seal is ever compared."""
    return int(connection.execute(_STRAYS).fetchone()[0])


def _text(name: str) -> str:
    """*name*, if a database can hold it."""
    try:
        name.encode()
    except UnicodeEncodeError as exc:
        raise CacheError(f"{name!r}: no name of a record: {exc.reason}") from exc
    return name


def _title(record: Record) -> str:
    return f"{record.kind} {record.name[:80]!r}"
