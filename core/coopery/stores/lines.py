"""Entries of a directory store: one line, the seal in hexadecimal and the JSON that it is over (`stores.rows`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coopery.stores.rows import pack, unpack


def sealed(document: Mapping[str, Any], *key: str) -> bytes:
    """*document* as a line, sealed under *key*.

    Raises:
        CacheError: it holds something that JSON cannot, or is too large.
    """
    data, seal = pack(document, *key)
    return seal.hex().encode() + b" " + data + b"\n"


def unsealed(line: bytes, *key: str) -> dict[str, Any] | None:
    """The inverse of `sealed`; None for whatever it did not write, byte for byte, under this very *key*."""
    text, space, data = line.partition(b" ")
    try:
        seal = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        return None
    # The other spellings of a number in hexadecimal are damage too.
    whole = space and data.endswith(b"\n") and seal.hex().encode() == text
    return unpack(data[:-1], seal, *key) if whole else None
