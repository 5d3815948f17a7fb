"""A wheel as the zip archive that it is: opened, and refused where a stranger's archive could mean two things.

Bounds are checked against what the archive states of itself, before anything is unpacked; `zipfile` never gives more
bytes of a member than were stated. Source: the ZIP application note (APPNOTE.TXT 6.3), sections 4.3 and 4.4; and the
"binary distribution format" of the Python Packaging User Guide.
"""

from __future__ import annotations

import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from attrs import frozen

from coopery.errors import PackageError

WRONG_NAME: Final = re.compile(r"(?:^|/)\.{0,2}(?:/|\Z)|[\0-\x1f\x7f-\x9f\\\u2028\u2029]")
"""A component that is empty, ``.`` or ``..`` (so also an absolute path), a backslash, a control or line separator."""

MAX_TEXT: Final = 64 << 20
"""Bytes of one file of metadata; the RECORD of the largest public wheels has 2 MB."""

_MAX_DIRECTORY: Final = 24 << 20
"""Bytes of the list of members: some 200,000, while the largest public wheels have 20,000."""

_FLOOR: Final = 256 << 20
_RATIO: Final = 50
"""A wheel may unpack to this many times its size, and to `_FLOOR` bytes at least. Public ones stay below 20."""

_END: Final = b"PK\5\6"
_END64: Final = b"PK\6\6"
_LOCATOR64: Final = b"PK\6\7"
_END_SIZE: Final = 22
_END64_SIZE: Final = 56
_LOCATOR64_SIZE: Final = 20
_MAX_COMMENT: Final = 1 << 16
_ENCRYPTED: Final = 0x1 | 0x40 | 0x2000
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@frozen
class Member:
    """One file of a wheel. *executable*: whether the archive gives anybody the right to run it."""

    name: str
    size: int
    executable: bool
    info: zipfile.ZipInfo


@frozen
class Archive:
    """An open wheel, its members checked: unique names that stay inside, plain files, bounded in all."""

    members: tuple[Member, ...]
    _zip: zipfile.ZipFile

    def open(self, member: Member) -> IO[bytes]:
        """The bytes of *member*, which are checked against its CRC when they have been read."""
        return self._zip.open(member.info)


@contextmanager
def opened(path: Path, file_name: str) -> Iterator[Archive]:
    """The wheel at *path*, for as long as the context lasts; messages call it *file_name*.

    Raises:
        PackageError: it is no archive, damaged, hostile, or cannot be read. Also for damage found while it is open.
    """
    with _translated(file_name):
        try:
            stored = _check_directory(path)
            archive = zipfile.ZipFile(path)
        except (OSError, ValueError, struct.error) as exc:  # what zipfile says of offsets that lie outside of the file
            raise zipfile.BadZipFile(str(exc)) from exc
        with archive:
            yield Archive(tuple(_members(archive, stored)), archive)


@contextmanager
def _translated(file_name: str) -> Iterator[None]:
    try:
        yield
    except _Refused as exc:
        raise PackageError(file_name, str(exc)) from exc
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as exc:
        raise PackageError(file_name, f"cannot be read as a wheel: {exc}") from exc


class _Refused(Exception):  # noqa: N818 - says what was done; turned into our own error one frame up
    """Why an archive is not taken."""


def _members(archive: zipfile.ZipFile, stored: int) -> Iterator[Member]:
    seen: set[str] = set()
    size = packed = 0
    for info in archive.infolist():
        if info.filename in seen:
            raise _Refused(f"{info.filename!r} stands in it twice")
        seen.add(info.filename)
        _check(info)
        if not 0 <= info.header_offset < stored:
            raise _Refused(f"{info.filename!r} lies outside of it")
        size += info.file_size
        packed += info.compress_size
        if packed > stored:
            raise _Refused(f"its files overlap: they take more than the {stored} bytes that it has")
        if size > max(_FLOOR, _RATIO * stored):
            raise _Refused(f"would unpack to more than {max(_FLOOR, _RATIO * stored)} bytes, {_RATIO} times its size")
        if not info.is_dir():
            mode = info.external_attr >> 16
            yield Member(info.filename, info.file_size, stat.S_ISREG(mode) and bool(mode & 0o111), info)


def _check(info: zipfile.ZipInfo) -> None:
    name = info.filename.removesuffix("/")
    if info.orig_filename != info.filename or WRONG_NAME.search(name):
        raise _Refused(f"the path {info.orig_filename!a} leaves the prefix or cannot be a file's name")
    if info.flag_bits & _ENCRYPTED:
        raise _Refused(f"{name!r} is encrypted")
    if info.compress_type not in _METHODS:
        raise _Refused(f"{name!r} is compressed by method {info.compress_type}; wheels have 0 (stored) and 8 (deflate)")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFDIR if info.is_dir() else stat.S_IFREG):
        raise _Refused(f"{name!r} is a link or a special file; wheels have plain files only")


def _check_directory(path: Path) -> int:
    """Refuse a list of members that would not fit into memory: `zipfile` reads all of it at once. Gives the size."""
    with path.open("rb") as stream:
        end = stream.seek(0, 2)
        start = stream.seek(max(0, end - _MAX_COMMENT - _END_SIZE - _LOCATOR64_SIZE - _END64_SIZE))
        tail = stream.read()
        found = tail.rfind(_END)
        if found < 0 or len(tail) - found < _END_SIZE:
            raise _Refused("is no zip archive")
        (size,) = struct.unpack_from("<L", tail, found + 12)
        locator = found - _LOCATOR64_SIZE
        if locator >= 0 and tail.startswith(_LOCATOR64, locator):
            stream.seek(max(0, start + locator - _END64_SIZE))
            end64 = stream.read(_END64_SIZE)
            if end64.startswith(_END64):
                (size,) = struct.unpack_from("<Q", end64, 40)
    if size > _MAX_DIRECTORY:
        raise _Refused(f"lists its files in {size} bytes; more than {_MAX_DIRECTORY} are not read")
    return end
