"""Files in a tar, read in place."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from coopery import sharing
from coopery.blobs import BlobStore, disk_error
from coopery.errors import BaseError, IntegrityError
from coopery.oci.compression import CHUNK, Readable, detect, inflate
from coopery.oci.limits import DEFAULT, Limits
from coopery.oci.source import open_regular, read_small
from coopery.oci.stream import Stream
from coopery.oci.tar import Member, TarReader


class ArchiveFiles:
    """The regular files in a tar, by path, read in place. Links of either kind are followed inside the tar.

    Args:
        handle: file descriptor of the uncompressed tar; stays the caller's.
        members: all of its entries; of two with one path the later counts.
        name: what it is called in messages.
    """

    def __init__(self, handle: int, members: Iterable[Member], name: str) -> None:
        self._handle = handle
        self._members = {member.path: member for member in members}
        self.name = name

    def __contains__(self, path: str) -> bool:
        return self._find(path) is not None

    def size(self, path: str) -> int:
        """Bytes of the file at *path*."""
        return self._get(path).size

    def open(self, path: str) -> Readable:
        """The content of the file at *path*.

        Raises:
            BaseError: no such file, or links without end.
        """
        member = self._get(path)
        return _Section(self._handle, member.offset, member.size)

    def small(self, path: str) -> bytes:
        """A JSON document's bytes, 4 MiB at most."""
        return read_small(self.open(path), f"{self.name}: {path}")

    def _get(self, path: str) -> Member:
        member = self._find(path)
        if member is None:
            raise BaseError(f"{self.name}: there is no file {path!r} in it")
        return member

    def _find(self, path: str) -> Member | None:
        for _ in range(8):  # docker save links a layer to its twin; a chain is never longer than one or two
            member = self._members.get(os.path.normpath(path).lstrip("/"))
            if member is None or member.kind == "file":
                return member
            if member.kind == "hardlink":
                path = member.target
            elif member.kind == "symlink":
                path = os.path.join(os.path.dirname(member.path), member.target)
            else:
                return None
        return None


class _Section:
    """*size* bytes of a file from *offset* on. Reads by position, so that many may share one file descriptor."""

    def __init__(self, handle: int, offset: int, size: int) -> None:
        self._handle = handle
        self._offset = offset
        self._left = size

    def seek(self, offset: int) -> None:
        """Go on reading at *offset* of the file."""
        self._left -= offset - self._offset
        self._offset = offset

    def read(self, size: int, /) -> bytes:
        data = os.pread(self._handle, min(size, self._left), self._offset)
        self._offset += len(data)
        self._left -= len(data)
        return data


class _FileStream(Stream):
    """A stream over a file, which passes over content by seeking."""

    __slots__ = ("_section", "_size")

    def __init__(self, handle: int) -> None:
        self._size = os.fstat(handle).st_size
        self._section = _Section(handle, 0, self._size)
        super().__init__(self._section)

    def skip(self, size: int) -> int:
        """As `Stream.skip`."""
        if self._at + size <= len(self._buffer):
            return super().skip(size)
        skipped = min(size, self._size - self.position)
        self.position += skipped
        self._buffer, self._at = b"", 0
        self._section.seek(self.position)
        return skipped


@contextmanager
def opened_archive(path: Path, blobs: BlobStore, limits: Limits = DEFAULT) -> Iterator[ArchiveFiles]:
    """The files in the tar at *path*. A compressed one is first inflated into a nameless file in staging.

    Raises:
        BaseError: absent or unreadable.
        IntegrityError: no tar that we read, or beyond *limits*.
        StoreFull, CacheError: staging refused.
    """
    with open_regular(path) as file:
        head = os.pread(file.fileno(), 6, 0)
        compression = detect(head, str(path))
        if not compression:
            yield _index(file.fileno(), path, limits)
            return
        try:
            sharing.make_folders(blobs.staging)
            with tempfile.TemporaryFile(prefix="archive-", dir=blobs.staging) as plain:
                inflated = inflate(file, compression, limits, str(path))
                while piece := inflated.read(CHUNK):
                    plain.write(piece)
                plain.flush()
                yield _index(plain.fileno(), path, limits)
        except OSError as exc:
            raise disk_error(exc) from exc


def _index(handle: int, path: Path, limits: Limits) -> ArchiveFiles:
    members = list(TarReader(_FileStream(handle), limits, str(path)))
    if not members:
        raise IntegrityError(f"{path}: an empty archive")
    return ArchiveFiles(handle, members, str(path))
