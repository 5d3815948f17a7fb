"""Squashfs blocks: each compressed by itself; small ones in a row are tables, addressed by block and byte.

Source: Linux, fs/squashfs: squashfs_fs.h, block.c, cache.c. What a block says of its size is believed of nobody.
"""

from __future__ import annotations

import io
import lzma
import struct
import zlib
from collections.abc import Callable
from typing import IO, Final

from coopery.errors import BaseError, IntegrityError
from coopery.oci.compression import inflate
from coopery.oci.limits import Limits

METADATA: Final = 8192
"""Bytes of a table's block once it is plain; the last one has fewer."""

_PLAIN_METADATA: Final = 0x8000
_PLAIN_DATA: Final = 1 << 24
_MEMORY: Final = 64 << 20
_KEPT: Final = 64
_COMPRESSIONS: Final = {1: "gzip", 2: "lzma", 3: "lzo", 4: "xz", 5: "lz4", 6: "zstd"}


class Blocks:
    """The blocks of one squashfs.

    Args:
        file: holds it.
        offset: where it begins there.
        size: its bytes.
        compression: the superblock's number for it.
        where: its name, for messages.

    Raises:
        BaseError: it is compressed in a way that cannot be read here.
    """

    def __init__(self, file: IO[bytes], offset: int, size: int, compression: int, where: str) -> None:
        self._file = file
        self._offset = offset
        self._size = size
        self.where = where
        self._metadata: dict[int, tuple[bytes, int]] = {}
        name = _COMPRESSIONS.get(compression, f"method {compression}")
        readers: dict[str, Callable[[bytes, int], bytes]] = {"gzip": _zlib, "xz": _xz, "lzma": _lzma, "zstd": _zstd}
        if name not in readers:
            raise BaseError(
                f"{where}: its squashfs is compressed by {name}, which cannot be read here",
                remedy="make the SIF again with gzip or zstd: apptainer build --mksquashfs-args='-comp gzip' …",
            )
        self._plain = readers[name]

    def bytes_at(self, at: int, size: int) -> bytes:
        """*size* stored bytes from *at* on.

        Raises:
            IntegrityError: they lie outside of the squashfs.
        """
        if at < 0 or size < 0 or at + size > self._size:
            raise self.damaged(f"something lies outside of it, at byte {at}")
        self._file.seek(self._offset + at)
        data = self._file.read(size)
        if len(data) != size:
            raise self.damaged("the file ends too early")
        return data

    def data(self, at: int, stored: int, most: int) -> bytes:
        """The plain bytes of the block at *at*, of contents; *stored* is its size as the format writes it.

        Raises:
            IntegrityError: it is damaged, or more than *most* bytes.
        """
        raw = self.bytes_at(at, stored & ~_PLAIN_DATA)
        return self._checked(raw if stored & _PLAIN_DATA else self._inflated(raw, most), most)

    def metadata(self, at: int) -> tuple[bytes, int]:
        """The plain bytes of the table's block at *at*, and where the next one begins."""
        if at not in self._metadata:
            (header,) = struct.unpack("<H", self.bytes_at(at, 2))
            size = header & ~_PLAIN_METADATA
            raw = self.bytes_at(at + 2, size)
            plain = self._checked(raw if header & _PLAIN_METADATA else self._inflated(raw, METADATA), METADATA)
            if len(self._metadata) >= _KEPT:
                self._metadata.pop(next(iter(self._metadata)))
            self._metadata[at] = plain, at + 2 + size
        return self._metadata[at]

    def pointed(self, table: int, index: int, size: int) -> bytes:
        """Entry *index*, of *size* bytes, of a table whose blocks are listed at *table*."""
        block, inside = divmod(index * size, METADATA)
        (at,) = struct.unpack("<Q", self.bytes_at(table + block * 8, 8))
        return Cursor(self, at, inside).take(size)

    def damaged(self, words: str) -> IntegrityError:
        """The error for what no squashfs is."""
        return IntegrityError(f"{self.where}: damaged squashfs: {words}")

    def _inflated(self, raw: bytes, most: int) -> bytes:
        try:
            return self._plain(raw, most)
        except (zlib.error, lzma.LZMAError, EOFError) as exc:
            raise self.damaged(str(exc)) from exc

    def _checked(self, plain: bytes, most: int) -> bytes:
        if len(plain) > most:
            raise self.damaged(f"a block of more than {most} bytes")
        return plain


class Cursor:
    """Reads a table from one place on, over the ends of its blocks."""

    def __init__(self, blocks: Blocks, at: int, inside: int) -> None:
        self._blocks = blocks
        self._at = at
        self._inside = inside

    def take(self, size: int) -> bytes:
        """The next *size* bytes.

        Raises:
            IntegrityError: there are not so many.
        """
        parts: list[bytes] = []
        while size:
            block, following = self._blocks.metadata(self._at)
            part = block[self._inside : self._inside + size]
            if not part:
                if self._inside > len(block) or not block:
                    raise self._blocks.damaged("a reference into nothing")
                self._at, self._inside = following, 0
                continue
            parts.append(part)
            self._inside += len(part)
            size -= len(part)
        return b"".join(parts)

    def unpack(self, form: struct.Struct) -> tuple[int, ...]:
        """The next fields."""
        return form.unpack(self.take(form.size))


def _zlib(raw: bytes, most: int) -> bytes:
    return zlib.decompressobj().decompress(raw, most + 1)


def _xz(raw: bytes, most: int) -> bytes:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, _MEMORY).decompress(raw, most + 1)


def _lzma(raw: bytes, most: int) -> bytes:
    return lzma.LZMADecompressor(lzma.FORMAT_ALONE, _MEMORY).decompress(raw, most + 1)


def _zstd(raw: bytes, most: int) -> bytes:
    reader = inflate(io.BytesIO(raw), "zstd", Limits(size=most + 1), "squashfs")
    parts: list[bytes] = []
    left = most + 1
    while left and (part := reader.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
