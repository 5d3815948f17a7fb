"""Reading a layer from the blob store: decompressed, bounded, and verified by the time the reading ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coopery.blobs import BlobStore
from coopery.errors import IntegrityError
from coopery.layer import Layer
from coopery.oci.compression import Hashed, inflate
from coopery.oci.limits import DEFAULT, Limits
from coopery.oci.media import COMPRESSION
from coopery.oci.stream import Stream
from coopery.oci.verified import check


def name_of(layer: Layer) -> str:
    """What a layer is called in messages."""
    return f"layer {layer.digest}"


@contextmanager
def opened(layer: Layer, blobs: BlobStore, limits: Limits = DEFAULT) -> Iterator[Stream]:
    """The uncompressed tar of *layer*. When the body ends well, what it left is read too and the digests compared.

    Raises:
        IntegrityError: the blob is missing or damaged, or is not what ``diff_id`` says. Known only at the end: what
            the body made of the bytes must not be kept before this context has closed.
    """
    where, path = name_of(layer), blobs.path(layer.digest)
    try:
        file = path.open("rb", buffering=0)
    except FileNotFoundError as exc:
        raise IntegrityError(f"{where}: its blob is missing") from exc
    with file:
        stored = Hashed(file)
        compression = COMPRESSION[layer.media_type]
        plain = Hashed(inflate(stored, compression, limits, where)) if compression else stored
        stream = Stream(plain)
        yield stream
        stream.drain()
        check(where, "digest", layer.digest, stored.digest, f"remove {path}; it is fetched or made again")
        check(where, "diff id", layer.diff_id, plain.digest)


def plain_blob(layer: Layer, blobs: BlobStore, limits: Limits = DEFAULT) -> Path:
    """File of the uncompressed tar. Of a compressed layer it is made once and kept as a blob of its own.

    No manifest names that blob, so gc may take it at any time; it is made again when it is next needed.
    """
    if blobs.size(layer.diff_id) is None:
        with opened(layer, blobs, limits) as stream, blobs.create(layer.diff_id) as writer:
            while piece := stream.read(1 << 20):
                writer.write(piece)
    return blobs.path(layer.diff_id)
