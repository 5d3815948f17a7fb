"""A plain layer's compressed twin: made once per method, kept as a blob, found again by a note beside the plain blob.

Layers are kept as plain tars: so they are read in place, linked into local engines, and equal on every machine. What
travels to a registry is their twin. A layer that came compressed from elsewhere is its own twin, so that its digest
stays the one that its registry knows.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve

from coopery import digest as _digest
from coopery.blobs import BlobStore
from coopery.layer import TAR, Layer
from coopery.oci.compression import CHUNK
from coopery.oci.compressor import deflating
from coopery.oci.intake import remember
from coopery.oci.layer_blob import opened
from coopery.oci.media import COMPRESSION, LAYER_OF, Compression
from coopery.whole import write_whole

FOLDERS: Final[dict[Compression, str]] = {"gzip": "compressed-gzip", "zstd": "compressed-zstd"}
"""Method → folder of its notes, beside the blobs."""


def twin(layer: Layer, blobs: BlobStore, method: Compression) -> Layer | None:
    """*layer* as it is when compressed, if that is known; its blob may have been collected meanwhile.

    A layer that is compressed already, in whatever way, is returned as it is.
    """
    if layer.media_type != TAR:
        return layer
    try:
        data = blobs.beside(layer.diff_id, FOLDERS[method]).read_bytes()
    except OSError:  # never compressed, or a note that cannot be read: it is made again
        return None
    head, _, body = data.partition(b"\n")
    if head != _seal(layer, body):
        return None
    digest, _, size = body.decode("ascii").partition(" ")
    return evolve(layer, digest=_digest.parse(digest), size=int(size), media_type=LAYER_OF[method])


def compress(layer: Layer, blobs: BlobStore, method: Compression) -> Layer:
    """*layer* compressed; its blob is in *blobs* on return.

    Raises:
        IntegrityError: the plain blob is missing or damaged. Nothing is kept.
        StoreFull, CacheError: the disk refused.
    """
    known = twin(layer, blobs, method)
    if known is not None and blobs.size(known.digest) == known.size:
        return known
    with blobs.create() as writer, opened(layer, blobs) as plain, deflating(writer, method, layer.size) as sink:
        while piece := plain.read(CHUNK):
            sink.write(piece)
    assert writer.digest is not None  # noqa: S101 - set when the context ended
    made = evolve(layer, digest=writer.digest, size=writer.size, media_type=LAYER_OF[method])
    remember(made, blobs)
    note(made, blobs)
    return made


def note(layer: Layer, blobs: BlobStore) -> None:
    """Remember that *layer*, compressed here or elsewhere, is the twin of the plain layer with its diff id.

    Of a plain layer there is nothing to remember.

    What was noted first stays while its blob is here, so that one layer has one digest in all of a host's pushes.

    Raises:
        CacheError: the disk refused.
    """
    method = COMPRESSION[layer.media_type]
    if not method:
        return
    known = twin(Layer(layer.diff_id, layer.diff_id, 0), blobs, method)
    if known is not None and blobs.size(known.digest) == known.size:
        return
    body = f"{layer.digest} {layer.size}".encode("ascii")
    path = blobs.beside(layer.diff_id, FOLDERS[method])
    write_whole(path, _seal(layer, body) + b"\n" + body, blobs.staging, synced=False)


def _seal(layer: Layer, body: bytes) -> bytes:
    """A checksum that binds the note to its layer: a damaged or misplaced one is no note."""
    return _digest.of_bytes(layer.diff_id.encode("ascii") + b"\n" + body).encode("ascii")
