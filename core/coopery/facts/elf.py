"""What we ask of an ELF file: which program interpreter it names, and which libraries it needs.

Source: System V ABI, "ELF Header", "Program Header" and "Dynamic Section"; 64-bit only, as all of
`coopery.platform.KNOWN` are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

READ: Final = 1 << 16
"""Bytes of a file's head that hold its program headers and, as linkers lay it out, its PT_INTERP."""

_PT_LOAD: Final = 1
_PT_DYNAMIC: Final = 2
_PT_INTERP: Final = 3
_DT_NEEDED: Final = 1
_DT_STRTAB: Final = 5
_MAX_HEADERS: Final = 64
_MAX_NAME: Final = 4096


def interpreter(head: bytes) -> str | None:
    """PT_INTERP of the program whose first bytes are *head*; None for a static program or what is no ELF file."""
    for kind, offset, _address, size in _segments(head):
        if kind == _PT_INTERP:
            text = _text(head, offset, offset + size)
            return text if text.startswith("/") and text.isprintable() else None
    return None


def needed(data: bytes) -> tuple[str, ...]:
    """DT_NEEDED of the program or library whose bytes are *data*: ``libc.so.6``, … Empty for what is no ELF file."""
    segments = tuple(_segments(data))
    order = "<" if data[5:6] == b"\1" else ">"
    offsets: list[int] = []
    table = 0
    for kind, offset, _address, size in segments:
        if kind == _PT_DYNAMIC:
            usable = min(size, max(len(data) - offset, 0)) // 16 * 16
            for tag, value in struct.iter_unpack(order + "QQ", data[offset : offset + usable]):
                offsets += [value] if tag == _DT_NEEDED else []
                table = value if tag == _DT_STRTAB else table
    for kind, offset, address, size in segments:  # the table is named by where it is in memory
        if kind == _PT_LOAD and address <= table < address + size:
            start = offset + table - address
            return tuple(_text(data, start + one, start + one + _MAX_NAME) for one in offsets)
    return ()


def _segments(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Kind, offset in the file, address in memory and size in the file of each program header within *data*."""
    if len(data) < 64 or data[:4] != b"\x7fELF" or data[4] != 2:
        return
    order = "<" if data[5] == 1 else ">"
    (offset,) = struct.unpack_from(order + "Q", data, 32)
    size, count = struct.unpack_from(order + "HH", data, 54)
    for index in range(min(count, _MAX_HEADERS)):
        start = offset + index * size
        if start + 56 > len(data):
            return
        yield struct.unpack_from(order + "I4xQQ8xQ", data, start)


def _text(data: bytes, start: int, end: int) -> str:
    return data[start:end].partition(b"\0")[0].decode("utf-8", "replace")
