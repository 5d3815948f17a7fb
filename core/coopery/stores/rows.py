"""Rows that prove themselves: a JSON document and a seal over it and the key that it stands under.

SQLite's own checks miss most bit flips inside a page, so that nothing is believed whose seal does not match.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from coopery.errors import CacheError

if TYPE_CHECKING:
    from coopery.cache import Record

LIMIT: Final = 1 << 26
"""Bytes of the largest document. A damaged length cannot make SQLite ask for more memory than this."""

NAMED: Final = frozenset({"kind", "name", "generation", "body", "writer", "written"})
"""The fields of a record that says itself what it is."""


def fields(record: Record) -> dict[str, Any]:
    """*record* as a document that stands under its kind and name."""
    return {
        "generation": record.generation,
        "body": dict(record.body),
        "writer": record.writer,
        "written": record.written,
    }


def named(record: Record) -> dict[str, Any]:
    """*record* as a document that can stand anywhere: `NAMED`."""
    return {"kind": record.kind, "name": record.name, **fields(record)}


def pack(document: Mapping[str, Any], *key: str) -> tuple[bytes, bytes]:
    """*document* as bytes, and its seal under *key*.

    Raises:
        CacheError: it holds something that JSON cannot, or is too large.
    """
    try:
        data = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
        seal = _seal(data, key)
    except (TypeError, ValueError, RecursionError) as exc:
        raise CacheError(f"a record cannot be written as JSON: {exc}") from exc
    if len(data) > LIMIT - 4096:
        raise CacheError(f"a record of {len(data)} bytes is refused: the most is {LIMIT - 4096}")
    return data, seal


def unpack(data: object, seal: object, *key: str) -> dict[str, Any] | None:
    """The inverse of `pack`; None for whatever it did not write under this very *key*."""
    if not isinstance(data, bytes) or not isinstance(seal, bytes) or seal != _seal(data, key):
        return None
    document: dict[str, Any] = json.loads(data)
    return document


def _seal(data: bytes, key: tuple[str, ...]) -> bytes:
    # Each part is framed by its length, so that no two keys and documents run into one another.
    parts = [b"coopery.row.v1", *(part.encode() for part in key), data]
    return hashlib.sha256(b"".join(b"%d:%b" % (len(part), part) for part in parts)).digest()
