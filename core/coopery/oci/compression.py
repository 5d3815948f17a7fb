"""Decompression with bounded memory and output: gzip by zlib, zstd by ``zstandard``.

Every reader here has ``read(size)`` that returns at most *size* bytes, and ``b""`` at the end only.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import Final, Protocol

from coopery.digest import Digest
from coopery.errors import IntegrityError
from coopery.oci.limits import Limits
from coopery.oci.media import Compression

CHUNK: Final = 1 << 20
_STORED: Final = 1 << 18

_MAGIC: Final[tuple[tuple[bytes, Compression], ...]] = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
_UNREAD: Final = ((b"BZh", "bzip2"), (b"\xfd7zXZ\x00", "xz"), (b"PK\x03\x04", "zip"), (b"\x04\x22\x4d\x18", "lz4"))


class Readable(Protocol):
    """What can be read from the front."""

    def read(self, size: int, /) -> bytes:
        """At most *size* bytes; ``b""`` at the end only."""
        ...


def detect(head: bytes, where: str) -> Compression:
    """How the bytes that begin with *head* (6 are enough) are compressed.

    Raises:
        IntegrityError: in a way that is no part of the OCI spec.
    """
    for magic, name in _UNREAD:
        if head.startswith(magic):
            raise IntegrityError(f"{where}: compressed by {name}; a plain, gzip or zstd tar is read")
    return next((name for magic, name in _MAGIC if head.startswith(magic)), "")


def inflate(source: Readable, compression: Compression, limits: Limits, where: str) -> Readable:
    """*source* without its compression, within *limits*. A plain *source* is bounded only by its own size."""
    if compression == "gzip":
        return _Bounded(counted := _Counted(source), _Gzip(counted, where), limits, where)
    if compression == "zstd":
        return _Bounded(counted := _Counted(source), _Zstd(counted, limits, where), limits, where)
    return source


class Hashed:
    """Passes bytes on and hashes them on the way."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._hash = hashlib.sha256()
        self.size = 0

    def read(self, size: int, /) -> bytes:
        """As `Readable.read`."""
        data = self._source.read(size)
        self._hash.update(data)
        self.size += len(data)
        return data

    @property
    def digest(self) -> Digest:
        """Digest of what was read so far."""
        return Digest("sha256:" + self._hash.hexdigest())


class _Counted:
    def __init__(self, source: Readable) -> None:
        self._source = source
        self.size = 0

    def read(self, size: int, /) -> bytes:
        data = self._source.read(min(size, _STORED) if size > 0 else _STORED)
        self.size += len(data)
        return data


class _Bounded:
    def __init__(self, stored: _Counted, plain: Readable, limits: Limits, where: str) -> None:
        self._stored = stored
        self._plain = plain
        self._limits = limits
        self._where = where
        self._size = 0

    def read(self, size: int, /) -> bytes:
        data = self._plain.read(size)
        self._size += len(data)
        limits = self._limits
        if self._size > limits.size:
            raise IntegrityError(f"{self._where}: more than {limits.size} bytes after decompression")
        if self._size > limits.floor and self._size > limits.ratio * self._stored.size:
            raise IntegrityError(f"{self._where}: {self._stored.size} stored bytes became more than {self._size} bytes")
        return data


class _Gzip:
    """RFC 1952: any number of members one after the other, then nothing, or zeros as tape drives pad."""

    def __init__(self, source: Readable, where: str) -> None:
        self._source = source
        self._where = where
        self._inflater = zlib.decompressobj(wbits=31)
        self._pending = b""
        self._ended = False

    def read(self, size: int, /) -> bytes:
        while not self._ended:
            data = self._step(size)
            if data:
                return data
        return b""

    def _step(self, size: int) -> bytes:
        if self._inflater.eof:
            self._next_member()
            return b""
        stored = self._pending or self._source.read(_STORED)
        try:
            data = self._inflater.decompress(stored, size)
        except zlib.error as exc:
            raise IntegrityError(f"{self._where}: damaged gzip data: {exc}") from exc
        self._pending = self._inflater.unconsumed_tail
        if not stored and not data and not self._inflater.eof:
            raise IntegrityError(f"{self._where}: the gzip data ends too early")
        return data

    def _next_member(self) -> None:
        rest = self._inflater.unused_data or self._source.read(_STORED)
        while rest and not rest.strip(b"\0"):
            rest = self._source.read(_STORED)
        if not rest:
            self._ended = True
            return
        self._pending = rest
        self._inflater = zlib.decompressobj(wbits=31)


class _Zstd:
    """RFC 8878: any number of frames, skippable ones among them.

    That the last frame is whole is not seen here; what reads on notices, by digest or by the tar's end.
    """

    def __init__(self, source: Readable, limits: Limits, where: str) -> None:
        import zstandard

        self._error = zstandard.ZstdError
        self._where = where
        self._reader = zstandard.ZstdDecompressor(max_window_size=limits.window).stream_reader(
            source,  # type: ignore[arg-type]  # the stub asks for IO[bytes]; only read is called
            read_across_frames=True,
        )

    def read(self, size: int, /) -> bytes:
        try:
            return self._reader.read(size)
        except self._error as exc:
            raise IntegrityError(f"{self._where}: damaged zstd data: {exc}") from exc
