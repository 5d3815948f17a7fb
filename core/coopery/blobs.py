"""Content-addressed files: ``blobs/sha256/<hex>``. What is there is whole; what is half-made lives in staging.

A blob is written to staging, hashed while written, fsynced, renamed, and its folder fsynced, so that a crash leaves
nothing wrong behind, and a blob that somebody was told of is still there after a power cut.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from coopery import digest as _digest
from coopery import faults, sharing, use
from coopery.digest import Digest
from coopery.errors import CacheError, IntegrityError, StoreFull


class _Hashing(Protocol):
    def update(self, data: bytes, /) -> None: ...


class BlobWriter:
    """A blob in the making. Write with `write`; the digest and size are known when the context ends."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.size = 0
        self.digest: Digest | None = None

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append all of *data*; returns how many bytes."""
        self._hash.update(data)
        view = memoryview(data).cast("B")
        while view:
            faults.point("blob-write")
            # A nearly full disk takes a part and refuses the next call: what is not written must not go unnoticed.
            view = view[self._stream.write(view) :]
        self.size += len(data)
        return len(data)

    def finish(self) -> Digest:
        """Digest of all that was written."""
        self.digest = Digest("sha256:" + self._hash.hexdigest())
        return self.digest


class BlobStore:
    """A folder of blobs. Safe for many processes; all of them may write the same blob at once."""

    def __init__(self, root: Path, staging: Path) -> None:
        self._root = root
        self._staging = staging

    def path(self, digest: Digest) -> Path:
        """Where the blob is, or would be. The one door from digest to path."""
        return self._root / "sha256" / _digest.hex_of(_digest.parse(digest))

    @property
    def staging(self) -> Path:
        """A folder on the same file system, for half-made things; swept by gc."""
        return self._staging

    def beside(self, digest: Digest, kind: str) -> Path:
        """Where what was found out about a blob is kept, outside the blobs: ``<root>/../<kind>/<hex>``.

        Such a file can be made again from the blob at any time, and is checked by whoever reads it.
        """
        return self._root.parent / kind / _digest.hex_of(_digest.parse(digest))

    def size(self, digest: Digest) -> int | None:
        """Bytes of the blob, or None when it is not here.

        Who asks is about to use it, so it is marked as used now: gc leaves it to whoever began to build before.
        """
        path = self.path(digest)
        if not use.mark(path, self._staging):
            return None
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return None

    @contextmanager
    def create(self, expected: Digest | None = None, where: str = "") -> Iterator[BlobWriter]:
        """Write one blob; it appears, whole and synced, when the context ends without an error.

        Args:
            expected: what its bytes must have as their digest; None: whatever they have.
            where: whose bytes they are, for the message where they are others.

        Raises:
            IntegrityError: *expected* was given and the bytes are others. Nothing is kept.
            StoreFull, CacheError: the disk refused. Nothing is kept.
        """
        import tempfile  # costs more than a whole hit, which creates no blob

        temporary: str | None = None
        try:
            sharing.make_folders(self._staging)
            faults.point("blob-open")
            handle, temporary = tempfile.mkstemp(prefix="blob-", dir=self._staging)
            with os.fdopen(handle, "wb", buffering=0) as stream:
                writer = BlobWriter(stream)
                yield writer
                digest = writer.finish()
                if expected is not None and digest != expected:
                    place = f"{where}: " if where else ""
                    raise IntegrityError(f"{place}expected {expected}, got {digest} ({writer.size} bytes)")
                faults.point("blob-fsync")
                os.fchmod(stream.fileno(), sharing.file_mode(self._staging, 0o644))
                os.fsync(stream.fileno())
            self._adopt(temporary, digest)
            temporary = None
        except OSError as exc:
            raise disk_error(exc) from exc
        finally:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)

    def adopt(self, made: Path, digest: Digest) -> None:
        """Take the file *made*, which is on the same disk, synced, and known to be the blob *digest*.

        Raises:
            StoreFull, CacheError: the disk refused.
        """
        try:
            handle = os.open(made, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.fchmod(handle, sharing.file_mode(self._staging, 0o644))
            finally:
                os.close(handle)
            self._adopt(str(made), digest)
        except OSError as exc:
            raise disk_error(exc) from exc

    def drop(self, digest: Digest) -> None:
        """Take a damaged blob away, so that it is made or fetched again.

        Raises:
            CacheError: the disk refused.
        """
        try:
            self.path(digest).unlink(missing_ok=True)
        except OSError as exc:
            raise disk_error(exc) from exc

    def put(self, data: bytes) -> Digest:
        """Store *data* whole, unless it is here already. A damaged copy is replaced."""
        digest = _digest.of_bytes(data)
        if not self._holds(digest, data):
            with self.create(digest) as writer:
                writer.write(data)
        return digest

    def read(self, digest: Digest, limit: int = 1 << 26) -> bytes:
        """The blob's bytes, verified.

        Raises:
            IntegrityError: damaged on disk, or larger than *limit* bytes.
            FileNotFoundError: not here.
        """
        path = self.path(digest)
        if path.stat().st_size > limit:
            raise IntegrityError(f"{digest}: larger than {limit} bytes")
        data = path.read_bytes()
        if _digest.of_bytes(data) != digest:
            raise IntegrityError(f"{digest}: the file {path} holds other bytes")
        return data

    def _adopt(self, temporary: str, digest: Digest) -> None:
        path = self.path(digest)
        sharing.make_folders(path.parent)
        faults.point("blob-rename")
        os.replace(temporary, path)
        faults.point("blob-dirsync")
        sync_folder(path.parent)

    def _holds(self, digest: Digest, data: bytes) -> bool:
        try:
            return self.size(digest) == len(data) and self.path(digest).read_bytes() == data
        except OSError:
            return False  # what cannot be read is written anew, which says what is wrong with the disk


def sync_folder(path: Path) -> None:
    """Make names that were put into *path* survive a loss of power."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def disk_error(exc: OSError) -> CacheError:
    """Our error for what a disk refused, naming the path."""
    where = f" ({exc.filename})" if exc.filename else ""
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(f"no space left{where}", remedy="free some space, or set COOPERY_HOME to a larger disk")
    if exc.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return CacheError(
            f"the cache folder cannot be written{where}: {exc.strerror}",
            remedy="set COOPERY_HOME to a folder that you can write",
        )
    return CacheError(f"the cache folder failed{where}: {exc.strerror}")
