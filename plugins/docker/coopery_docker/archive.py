"""Archives for ``docker load``, made while they are sent and never on disk.

The classic store takes Docker's own form, in which lower layers that the daemon has may be left out. containerd's
store takes an OCI layout, in which blobs that it has may be left out. Bytes are not hashed on the way: the daemon
compares every layer with its diff id, or its digest, and refuses others.
"""

from __future__ import annotations

import tarfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from coopery import digest as _digest
from coopery.errors import IntegrityError
from coopery.image import encode
from coopery.layer import TAR_ZSTD
from coopery.oci import media
from coopery.oci.config import platform_of
from coopery.oci.layer_blob import plain_blob
from coopery.oci.manifest import make_entry, make_index, make_manifest
from coopery.oci.marker import MARKER

if TYPE_CHECKING:
    from coopery.blobs import BlobStore
    from coopery.digest import Digest
    from coopery.image import Assembled
    from coopery.layer import Layer

_CHUNK: Final = 1 << 20
_END: Final = bytes(2 * tarfile.BLOCKSIZE)


def classic(image: Assembled, blobs: BlobStore, reference: str, omit: int = 0) -> Iterator[bytes]:
    """*image* in Docker's form.

    Args:
        image: what to send.
        blobs: where its layers are.
        reference: ``repository:tag``.
        omit: how many layers, from the bottom up, to leave out.

    Raises:
        IntegrityError: a layer's blob is missing.
    """
    config = f"{_digest.hex_of(image.image_id)}.json"
    tars = [f"{_digest.hex_of(layer.diff_id)}.tar" for layer in image.layers]
    entry = {"Config": config, "RepoTags": [reference], "Layers": tars}
    yield _member("manifest.json", b"[" + encode(entry) + b"]")
    yield _member(config, image.config)
    sent = {layer.diff_id for layer in image.layers[:omit]}
    for name, layer in zip(tars[omit:], image.layers[omit:], strict=True):
        if layer.diff_id not in sent:  # twice in one image is once in the archive
            sent.add(layer.diff_id)
            yield from _file(name, _readable(layer, blobs))
    yield _END


def layout(image: Assembled, blobs: BlobStore, reference: str, omit: Collection[Digest] = ()) -> Iterator[bytes]:
    """*image* as an OCI layout in a tar.

    Args:
        image: what to send.
        blobs: where its layers are.
        reference: ``repository:tag``.
        omit: digests of layers to leave out.

    Raises:
        IntegrityError: a layer's blob is missing.
    """
    manifest = make_manifest(image)
    entry = make_entry(manifest, platform_of(image.document), reference.rpartition(":")[2]).to_json()
    entry["annotations"] = {**entry["annotations"], media.CONTAINERD_NAME: f"docker.io/library/{reference}"}
    yield _member("oci-layout", MARKER)
    yield _member("index.json", make_index([entry]))
    yield _member(_blob(_digest.of_bytes(manifest)), manifest)
    yield _member(_blob(image.image_id), image.config)
    for layer in {layer.digest: layer for layer in image.layers if layer.digest not in omit}.values():
        yield from _file(_blob(layer.digest), blobs.path(layer.digest))
    yield _END


def _blob(digest: Digest) -> str:
    return f"blobs/sha256/{_digest.hex_of(digest)}"


def _readable(layer: Layer, blobs: BlobStore) -> Path:
    """The layer's file in a form that every daemon takes: plain where that is here, gzip as it came, never zstd."""
    plain = blobs.path(layer.diff_id)
    if plain.is_file():
        return plain
    return plain_blob(layer, blobs) if layer.media_type == TAR_ZSTD else blobs.path(layer.digest)


def _member(name: str, data: bytes) -> bytes:
    return _header(name, len(data)) + data + bytes(-len(data) % tarfile.BLOCKSIZE)


def _file(name: str, path: Path) -> Iterable[bytes]:
    try:
        with path.open("rb", buffering=0) as file:
            size = path.stat().st_size
            head = _header(name, size)
            left = size
            while left:
                piece = file.read(min(_CHUNK, left))
                if not piece:
                    raise IntegrityError(f"{path}: shorter than it was a moment ago")
                left -= len(piece)
                yield head + piece
                head = b""
            yield head + bytes(-size % tarfile.BLOCKSIZE)
    except FileNotFoundError as exc:
        raise IntegrityError(f"layer {name}: its blob is missing") from exc


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member.tobuf(tarfile.PAX_FORMAT)  # plain ustar, but for sizes of 8 GiB and more
