"""A stream that is read in pieces of every size, from a source that likes large ones."""

from __future__ import annotations

from collections.abc import Iterator

from coopery.oci.compression import CHUNK, Readable


class Stream:
    """Buffered reading from the front. ``position`` counts the bytes that were given out or skipped."""

    __slots__ = ("_at", "_buffer", "_source", "position")

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._buffer = b""
        self._at = 0
        self.position = 0

    def read(self, size: int) -> bytes:
        """Exactly *size* bytes, or fewer at the end."""
        end = self._at + size
        if end <= len(self._buffer):
            data = self._buffer[self._at : end]
            self._at = end
            self.position += size
            return data
        return b"".join(self.pieces(size))

    def skip(self, size: int) -> int:
        """Pass over *size* bytes; returns how many there were."""
        end = self._at + size
        if end <= len(self._buffer):
            self._at = end
            self.position += size
            return size
        return sum(len(piece) for piece in self.pieces(size))

    def pieces(self, size: int) -> Iterator[bytes | memoryview]:
        """*size* bytes, or fewer at the end, in pieces of at most 1 MiB."""
        left = size
        while left > 0:
            if self._at == len(self._buffer):
                self._buffer, self._at = self._source.read(CHUNK), 0
                if not self._buffer:
                    return
            whole = self._at == 0 and len(self._buffer) <= left
            piece = self._buffer if whole else memoryview(self._buffer)[self._at : self._at + left]
            self._at += len(piece)
            self.position += len(piece)
            left -= len(piece)
            yield piece

    def drain(self) -> None:
        """Read to the end."""
        while self.skip(CHUNK):
            pass
