"""Tar headers by hand: POSIX ustar, and pax records only where ustar cannot hold a value.

`tarfile` makes the same bytes more slowly, except that it takes a pax record for every path over 100 bytes. Numbers are
octal, zero-padded and NUL-ended; user and group names are empty; every unused byte is NUL.

Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Header Block".
"""

from __future__ import annotations

import struct
from typing import Final

from coopery.layer import Entry

BLOCK: Final = 512
"""Bytes of a tar block: headers are one, contents are padded to a multiple."""

FIXED_TIME: Final = 315_619_200
"""Modification time of everything in a layer: 1980-01-02T00:00:00Z, in seconds since the epoch.

Zip archives begin in 1980, in local time: with 0 or 1980-01-01, ``zipfile`` in the image refuses to pack these files in
every time zone west of Greenwich.
"""

MAX_SIZE: Final = 8**11
"""ustar's size field has 11 octal digits: contents of 8 GiB and more need a pax record."""

_MAX_ID: Final = 8**7
_TYPES: Final = {"file": b"0", "hardlink": b"1", "symlink": b"2", "directory": b"5"}
_LINK_MODE: Final = 0o777  # Linux knows no other mode of a symlink
_FIELDS: Final = struct.Struct("100s 8s 8s 8s 12s 12s 8s c 100s 8s 80x 155s 12x")
_CHECKSUM: Final = slice(148, 156)
_MAGIC: Final = b"ustar\x0000"


def header(entry: Entry) -> bytes:
    """The blocks that go before the content of *entry*: one, or three and more where pax records are needed.

    Raises:
        ValueError: a path or target that is not UTF-8 or holds NUL, or a number out of range.
    """
    _check(entry)
    kind = entry.kind
    name, link = entry.path.encode(), entry.target.encode()
    if kind == "directory":
        name += b"/"
    records: dict[bytes, bytes] = {}
    prefix, name = _split(name, records)
    if len(link) > 100 or not link.isascii():
        records[b"linkpath"], link = link, _ascii(link)
    uid = _number(b"uid", entry.uid, _MAX_ID, records)
    gid = _number(b"gid", entry.gid, _MAX_ID, records)
    size = _number(b"size", entry.size if kind == "file" else 0, MAX_SIZE, records)
    mode = _LINK_MODE if kind == "symlink" else entry.mode
    block = _block(name, (mode, uid, gid, size, FIXED_TIME), _TYPES[kind], link, prefix)
    return _extended(records) + block if records else block


def _check(entry: Entry) -> None:
    if not 0 <= entry.mode <= 0o7777:
        raise ValueError(f"{entry.path}: expected a mode from 0 to 0o7777, got {entry.mode:#o}")
    if entry.size < 0 or not 0 <= entry.uid < 2**32 or not 0 <= entry.gid < 2**32:
        raise ValueError(f"{entry.path}: size {entry.size}, uid {entry.uid} or gid {entry.gid} is out of range")
    if "\0" in entry.path or "\0" in entry.target or not entry.path:
        raise ValueError(f"expected a path and a target without NUL, got {entry.path!r}, {entry.target!r}")


def _split(name: bytes, records: dict[bytes, bytes]) -> tuple[bytes, bytes]:
    """The prefix and name fields; a pax record where the two cannot hold *name*."""
    if name.isascii():
        if len(name) <= 100:
            return b"", name
        # The leftmost slash that leaves at most 100 bytes: one form for each name.
        slash = name.find(b"/", len(name) - 101, len(name) - 1)
        if 0 < slash <= 155:
            return name[:slash], name[slash + 1 :]
    records[b"path"] = name
    return b"", _ascii(name)


def _ascii(text: bytes) -> bytes:
    """What a reader without pax sees: ASCII, cut to 100 bytes."""
    return text.decode().encode("ascii", "replace")[:100]


def _number(keyword: bytes, value: int, limit: int, records: dict[bytes, bytes]) -> int:
    if value < limit:
        return value
    records[keyword] = b"%d" % value
    return 0


def _block(name: bytes, numbers: tuple[int, ...], kind: bytes, link: bytes = b"", prefix: bytes = b"") -> bytes:
    """One header block; *numbers* are mode, uid, gid, size and time."""
    fields = b"%07o %07o %07o %011o %011o" % numbers
    block = _FIELDS.pack(name, *fields.split(), b"        ", kind, link, _MAGIC, prefix)
    return b"%b%06o\0 %b" % (block[: _CHECKSUM.start], sum(block), block[_CHECKSUM.stop :])


def _extended(records: dict[bytes, bytes]) -> bytes:
    body = b"".join(_record(keyword, value) for keyword, value in records.items())
    return _block(b"././@PaxHeader", (0, 0, 0, len(body), 0), b"x") + body + bytes(-len(body) % BLOCK)


def _record(keyword: bytes, value: bytes) -> bytes:
    r"""``"%d %s=%s\n"``, where the number counts its own digits too."""
    rest = len(keyword) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) > len(str(rest)):
        length += 1
    return b"%d %b=%b\n" % (length, keyword, value)
