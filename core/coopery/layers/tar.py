"""One tar, streamed to a sink: small files gathered in one buffer, large ones read through it.

Nothing is sorted or invented here: entries are written as they come (`coopery.layers.cut` decides which). The archive
ends with two zero blocks and no further padding, which the format allows and every reader takes.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final, Protocol

from coopery.errors import IntegrityError, PackageError
from coopery.layer import Entry
from coopery.layers.header import BLOCK, header

CHUNK: Final = 1 << 20
"""Bytes of the buffer, a multiple of `BLOCK`; small enough that hashing finds in the cache what was just copied."""

# A package's folder may hold a link or a pipe where it promises a file: one is refused, the other never waited on.
_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_ZEROS: Final = bytes(BLOCK)


class Sink(Protocol):
    """What takes the bytes: a `coopery.blobs.BlobWriter`, an open file. Must take all of *data* or raise."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Append *data*; it is overwritten after the call returns."""
        ...


class TarWriter:
    """A tar in the making: `add` each entry, then `close`. Memory: one buffer, whatever the files' sizes."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = memoryview(bytearray(CHUNK))
        self._fill = 0

    def add(self, entry: Entry, package: str = "") -> None:
        """Append *entry* with its content; *package* is whom an error names.

        Raises:
            ValueError: no header can hold it.
            IntegrityError: its source has another size than it says, or changed while it was read.
            PackageError: its source cannot be read, or is no regular file.
        """
        self._put(header(entry))
        if entry.kind != "file":
            return
        if isinstance(entry.source, bytes):
            if len(entry.source) != entry.size:
                raise _mismatch(entry, len(entry.source))
            self._put(entry.source)
        else:
            self._copy(entry, entry.source, package)
        self._pad()

    def close(self) -> None:
        """End the archive and hand the last bytes to the sink, which stays open."""
        self._put(_ZEROS)
        self._put(_ZEROS)
        self._flush()

    def _put(self, data: bytes) -> None:
        if len(data) > CHUNK - self._fill:
            self._flush()
            if len(data) > CHUNK:
                whole = len(data) - len(data) % BLOCK
                self._sink.write(memoryview(data)[:whole])
                data = data[whole:]
        end = self._fill + len(data)
        self._buffer[self._fill : end] = data
        self._fill = end

    def _pad(self) -> None:
        missing = -self._fill % BLOCK
        self._buffer[self._fill : self._fill + missing] = _ZEROS[:missing]
        self._fill += missing

    def _flush(self) -> None:
        if self._fill:
            self._sink.write(self._buffer[: self._fill])
            self._fill = 0

    def _copy(self, entry: Entry, source: Path, package: str) -> None:
        try:
            handle = os.open(source, _FLAGS)
        except OSError as exc:
            raise _unreadable(entry, source, package, exc) from exc
        try:
            before = os.fstat(handle)
            if not stat.S_ISREG(before.st_mode):
                raise PackageError(package or entry.path, f"{entry.path}: {source} is no regular file")
            if before.st_size != entry.size:
                raise _mismatch(entry, before.st_size)
            self._read(entry, source, handle, package)
            after = os.fstat(handle)
        finally:
            os.close(handle)
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise IntegrityError(f"{entry.path}: {source} changed while it was read")

    def _read(self, entry: Entry, source: Path, handle: int, package: str) -> None:
        left = entry.size
        while left:
            if self._fill == CHUNK:
                self._flush()
            end = min(CHUNK, self._fill + left)
            try:
                count = os.readv(handle, (self._buffer[self._fill : end],))
            except OSError as exc:
                raise _unreadable(entry, source, package, exc) from exc
            if not count:
                raise _mismatch(entry, entry.size - left)
            self._fill += count
            left -= count


def _mismatch(entry: Entry, size: int) -> IntegrityError:
    where = "the content given" if isinstance(entry.source, bytes) else str(entry.source)
    return IntegrityError(f"{entry.path}: expected {entry.size} bytes in {where}, got {size}")


def _unreadable(entry: Entry, source: Path, package: str, exc: OSError) -> PackageError:
    why = "is a symbolic link, not the file itself" if exc.errno == errno.ELOOP else f"cannot be read: {exc.strerror}"
    return PackageError(package or entry.path, f"{entry.path}: {source} {why}")
