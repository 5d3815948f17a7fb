"""Copy layers of others into our blob store: size, digest and diff id checked in one pass, compression kept."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from coopery import sharing
from coopery.blobs import BlobStore, BlobWriter, disk_error
from coopery.digest import Digest
from coopery.errors import IntegrityError
from coopery.layer import TAR, Layer
from coopery.oci.compression import CHUNK, Hashed, Readable, detect, inflate
from coopery.oci.limits import DEFAULT, Limits
from coopery.oci.media import COMPRESSION, LAYER_OF
from coopery.oci.source import Source
from coopery.oci.verified import check


def take(source: Source, layer: Layer, blobs: BlobStore, limits: Limits = DEFAULT) -> None:
    """Copy the blob of *layer*, unless it is here and known to be what the layer says.

    Raises:
        BaseError: *source* does not have it.
        IntegrityError: other bytes than the descriptor or the config say, or beyond *limits*. Nothing is kept.
        StoreFull, CacheError: our disk refused.
    """
    if known(layer, blobs):
        return
    where = f"{source.name}: layer {layer.digest}"
    with source.open(layer.digest) as file, blobs.create(layer.digest, where) as writer:
        tee = _Tee(file, writer, layer.size, where)
        _pass_through(tee, layer.media_type, layer.diff_id, limits, where)
        if writer.size != layer.size:
            raise IntegrityError(f"{where}: expected {layer.size} bytes, got {writer.size}")
    remember(layer, blobs)


def inspect(layer: Layer, blobs: BlobStore, limits: Limits = DEFAULT) -> None:
    """See that the blob of *layer*, which is here, has the layer's diff id.

    Raises:
        IntegrityError: it has another, or is beyond *limits*.
        CacheError: it cannot be read.
    """
    where = f"layer {layer.digest}"
    try:
        with blobs.path(layer.digest).open("rb", buffering=0) as file:
            plain = Hashed(inflate(file, COMPRESSION[layer.media_type], limits, where))
            _drain(plain)
    except OSError as exc:
        raise disk_error(exc) from exc
    check(where, "diff id", layer.diff_id, plain.digest)


def take_unnamed(file: Readable, size: int, diff_id: Digest, blobs: BlobStore, where: str) -> Layer:
    """Copy a layer that is known by its *diff_id* alone, as in Docker's archives, however it is compressed.

    Raises:
        IntegrityError: other bytes than *diff_id* says. Nothing is kept.
        StoreFull, CacheError: our disk refused.
    """
    if blobs.size(diff_id) == size:
        return Layer(diff_id, diff_id, size)
    head = file.read(6)
    media_type = LAYER_OF[detect(head, where)]
    with blobs.create(diff_id if media_type == TAR else None, where) as writer:
        tee = _Tee(_Prefixed(head, file), writer, size, where)
        _pass_through(tee, media_type, diff_id, DEFAULT, where)
    assert writer.digest is not None  # noqa: S101 - set when the context ended
    layer = Layer(diff_id, writer.digest, writer.size, media_type)
    remember(layer, blobs)
    return layer


def _pass_through(tee: _Tee, media_type: str, diff_id: Digest, limits: Limits, where: str) -> None:
    compression = COMPRESSION[media_type]
    if not compression:  # the blob store compares the digest, which is the diff id
        _drain(tee)
        return
    plain = Hashed(inflate(tee, compression, limits, where))
    _drain(plain)
    _drain(tee)
    check(where, "diff id", diff_id, plain.digest)


def _drain(stream: Readable) -> None:
    while stream.read(CHUNK):
        pass


class _Tee:
    """Writes what is read, and stops a blob that is longer than it should be."""

    def __init__(self, source: Readable, writer: BlobWriter, size: int, where: str) -> None:
        self._source = source
        self._writer = writer
        self._size = size
        self._where = where

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self._writer.write(data)
        if self._writer.size > self._size:
            raise IntegrityError(f"{self._where}: longer than the {self._size} bytes that were stated")
        return data


class _Prefixed:
    """*head*, which was read already, then the rest."""

    def __init__(self, head: bytes, rest: Readable) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int, /) -> bytes:
        if not self._head:
            return self._rest.read(size)
        data, self._head = self._head[:size], self._head[size:]
        return data


def known(layer: Layer, blobs: BlobStore) -> bool:
    """Whether the blob of *layer* is here, by its size, and known to have the layer's diff id."""
    if blobs.size(layer.digest) != layer.size:
        return False
    if layer.media_type == TAR:
        return True
    try:
        return blobs.beside(layer.digest, "diff-ids").read_text(encoding="ascii") == layer.diff_id
    except (OSError, UnicodeDecodeError):  # never looked at, or damaged: look again
        return False


def remember(layer: Layer, blobs: BlobStore) -> None:
    """Note that the blob, uncompressed, has that diff id; so a base is inflated once, not at every build."""
    if layer.media_type == TAR:
        return
    path = blobs.beside(layer.digest, "diff-ids")
    try:
        sharing.make_folders(path.parent)
        handle, temporary = tempfile.mkstemp(prefix="diff-id-", dir=blobs.staging)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(layer.diff_id)
            os.fchmod(handle, sharing.file_mode(blobs.staging, 0o600))
        Path(temporary).replace(path)
    except OSError as exc:
        raise disk_error(exc) from exc
