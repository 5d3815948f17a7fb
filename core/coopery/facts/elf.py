"""The one thing that we ask of an ELF file: which program interpreter it names.

Source: System V ABI, "ELF Header" and "Program Header"; 64-bit only, as all of `coopery.platform.KNOWN` are.
"""

from __future__ import annotations

import struct
from typing import Final

READ: Final = 1 << 16
"""Bytes of a file's head that hold its program headers and, as linkers lay it out, its PT_INTERP."""

_PT_INTERP: Final = 3
_MAX_HEADERS: Final = 64


def interpreter(head: bytes) -> str | None:
    """PT_INTERP of the program whose first bytes are *head*; None for a static program or what is no ELF file."""
    if len(head) < 64 or head[:4] != b"\x7fELF" or head[4] != 2:
        return None
    order = "<" if head[5] == 1 else ">"
    (offset,) = struct.unpack_from(order + "Q", head, 32)
    size, count = struct.unpack_from(order + "HH", head, 54)
    for index in range(min(count, _MAX_HEADERS)):
        start = offset + index * size
        if start + 56 > len(head):
            return None
        (kind,) = struct.unpack_from(order + "I", head, start)
        if kind == _PT_INTERP:
            return _text(head, *struct.unpack_from(order + "Q16xQ", head, start + 8))
    return None


def _text(head: bytes, offset: int, size: int) -> str | None:
    raw = head[offset : offset + size].partition(b"\0")[0]
    text = raw.decode("utf-8", "replace")
    return text if text.startswith("/") and text.isprintable() else None
