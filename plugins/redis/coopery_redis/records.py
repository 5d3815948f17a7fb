"""Records in Redis: one hash each, the newest generation in the field ``newest``, older ones under their numbers.

Names are also kept in one sorted set per kind, so that listing what begins alike looks at nothing else in the server.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, Final

from coopery import faults
from coopery.cache import Kind, Record
from coopery.errors import CacheError
from coopery.stores.rows import fields, pack, unpack
from coopery_redis.scripts import DELETE, PUT
from coopery_redis.server import DAMAGED, Server

_PAGE: Final = 256
_SEAL: Final = 32


class RecordTable:
    """Meanings are those of `coopery.cache.Cache`.

    Args:
        server: where they are kept.
        notice: told of a damaged record.
    """

    def __init__(self, server: Server, notice: Callable[[str], None]) -> None:
        self._server = server
        self._notice = notice

    def get(self, kind: Kind, name: str, generation: int | None = None) -> Record | None:
        """The newest record, or that *generation* of it; None where it is absent or damaged."""
        field = "newest" if generation is None else str(generation)
        (values,) = self._server.ask(("HMGET", self._key(kind, name), "newest", field))
        newest, wanted = (DAMAGED, DAMAGED) if values is DAMAGED else values
        if generation is not None and wanted is None and _generation(newest) == generation:
            wanted = newest
        found = self._read(kind, name, wanted)
        return found if found is not None and generation in (None, found.generation) else None

    def put(self, record: Record, expected: int) -> Record:
        """Store *record* if the newest generation is *expected*; else the winner's."""
        if record.generation != expected + 1:
            raise CacheError(f"{_title(record)}: generation {record.generation} cannot follow {expected}")
        keys = (self._key(record.kind, record.name), self._index(record.kind))
        value = _value(record)
        faults.point("record-put")
        damaged = ""
        while True:
            answer = self._server.run(PUT, keys, record.name, expected, value, damaged)
            if answer == 1:
                faults.point("record-done")
                return record
            if answer == 0:
                raise CacheError(
                    f"{_title(record)}: generation {expected} was deleted meanwhile",
                    remedy="build again to record it anew",
                )
            winner = self._read(record.kind, record.name, answer)
            if winner is not None:
                return winner
            # A damaged record is none: its name starts anew, if it is still that very value which is there.
            damaged = hashlib.sha1(answer, usedforsecurity=False).hexdigest()

    def delete(self, kind: Kind, name: str) -> bool:
        """Forget every generation. Where the answer was lost on its way, the second asking finds none: False."""
        return bool(self._server.run(DELETE, (self._key(kind, name), self._index(kind)), _text(name)))

    def list(self, kind: Kind, prefix: str) -> Iterator[Record]:
        """The newest of every name that begins with *prefix*, in the order of their UTF-8 bytes."""
        low, high = b"[" + _text(prefix), b"[" + _text(prefix) + b"\xff"  # a byte that UTF-8 never has
        while True:
            (names,) = self._server.ask(("ZRANGEBYLEX", self._index(kind), low, high, "LIMIT", 0, _PAGE))
            if names is DAMAGED:
                self._notice(f"the list of {kind} names is damaged and is taken for empty")
                return
            texts = [name.decode(errors="surrogateescape") for name in names]
            values = self._server.ask(*(("HGET", self._index_key(kind, name), "newest") for name in names))
            for text, value in zip(texts, values, strict=True):
                record = self._read(kind, text, value)
                if record is not None:
                    yield record
            if len(names) < _PAGE:
                return
            low = b"(" + names[-1]

    def _key(self, kind: Kind, name: str) -> bytes:
        return self._index_key(kind, _text(name))

    def _index_key(self, kind: Kind, name: bytes) -> bytes:
        return self._server.address.key("record", kind, "") + name

    def _index(self, kind: Kind) -> bytes:
        return self._server.address.key("names", kind)

    def _read(self, kind: Kind, name: str, value: Any) -> Record | None:
        if value is None:
            return None
        record = _parse(kind, name, value)
        if record is None:
            self._notice(f"{kind} {name[:80]!r}: its record is damaged and is taken for absent")
        return record


def _value(record: Record) -> bytes:
    """What a field holds: the generation, for the scripts; the seal; the document."""
    data, seal = pack(fields(record), record.kind, record.name)
    return b"%d " % record.generation + seal + data


def _parse(kind: Kind, name: str, value: object) -> Record | None:
    """The inverse of `_value`; None for whatever it did not make under this very name."""
    if not isinstance(value, bytes):
        return None
    rest = value.partition(b" ")[2]
    try:
        document = unpack(rest[_SEAL:], rest[:_SEAL], kind, name)
        record = None if document is None else Record(kind, name, **document)
    except (ValueError, TypeError, RecursionError):
        return None
    return record if record is not None and record.generation == _generation(value) else None


def _generation(value: object) -> int:
    """The number that *value* begins with; 0 where it begins with none."""
    head = value.partition(b" ")[0] if isinstance(value, bytes) else b""
    return int(head) if head.isdigit() and len(head) < 20 else 0


def _text(name: str) -> bytes:
    try:
        return name.encode()
    except UnicodeEncodeError as exc:
        raise CacheError(f"{name[:80]!r}: no name of a record: {exc.reason}") from exc


def _title(record: Record) -> str:
    return f"{record.kind} {record.name[:80]!r}"
