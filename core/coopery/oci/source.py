"""Where an image's blobs come from: a folder, an archive; one day a registry. Reading from one is always verified."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from coopery import digest as _digest
from coopery.blobs import BlobStore
from coopery.digest import Digest
from coopery.errors import BaseError, IntegrityError
from coopery.oci.compression import Readable
from coopery.oci.descriptor import Descriptor
from coopery.oci.document import MAX_BYTES


class Source(Protocol):
    """One keeper of blobs. What it gives is believed by nobody: see `read_document` and `coopery.oci.intake`."""

    name: str
    """For messages: a path, or a registry's repository."""

    def open(self, digest: Digest) -> AbstractContextManager[Readable]:
        """The blob's bytes, from the first on.

        Raises:
            BaseError: it is not there.
        """
        ...


class FolderSource:
    """The blobs of an OCI layout that somebody else made."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.name = str(root)

    @contextmanager
    def open(self, digest: Digest) -> Iterator[Readable]:
        """As `Source.open`."""
        with open_regular(self._root / "blobs" / "sha256" / _digest.hex_of(digest)) as file:
            yield file


class StoreSource:
    """Our own blob store."""

    def __init__(self, blobs: BlobStore, name: str) -> None:
        self._blobs = blobs
        self.name = name

    @contextmanager
    def open(self, digest: Digest) -> Iterator[Readable]:
        """As `Source.open`."""
        with open_regular(self._blobs.path(digest)) as file:
            yield file


class _File(Readable, Protocol):
    def fileno(self) -> int: ...


@contextmanager
def open_regular(path: Path) -> Iterator[_File]:
    """Open a file of somebody else's for reading; a FIFO or a device in its place does not hang us.

    Raises:
        BaseError: absent, unreadable, or no regular file.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        raise BaseError(f"{path}: cannot be read: {exc.strerror}") from exc
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise BaseError(f"{path}: expected a regular file")
    with os.fdopen(handle, "rb", buffering=0) as file:
        yield file


def read_small(file: Readable, where: str) -> bytes:
    """All of a JSON document's bytes.

    Raises:
        IntegrityError: more than 4 MiB.
    """
    data = b""
    while piece := file.read(MAX_BYTES + 1 - len(data)):
        data += piece
        if len(data) > MAX_BYTES:
            raise IntegrityError(f"{where}: more than {MAX_BYTES} bytes")
    return data


def read_document(source: Source, descriptor: Descriptor) -> bytes:
    """The bytes of a manifest, index or config, verified: size first, then digest.

    Raises:
        BaseError: it is not there.
        IntegrityError: other bytes, or more than 4 MiB.
    """
    where = f"{source.name}: {descriptor.digest}"
    if descriptor.size > MAX_BYTES:
        raise IntegrityError(f"{where}: stated as {descriptor.size} bytes; at most {MAX_BYTES} are read")
    with source.open(descriptor.digest) as file:
        data = read_small(file, where)
    if len(data) != descriptor.size:
        raise IntegrityError(f"{where}: expected {descriptor.size} bytes, got {len(data)}")
    if (found := _digest.of_bytes(data)) != descriptor.digest:
        raise IntegrityError(f"{where}: the bytes have the digest {found}")
    return data
