"""What was cut is kept: layer identity → blob, and tree identity → paths and size.

Both are knowledge that can be made again. A record is written by rename and carries a checksum, so a torn or damaged
one is a miss, and none is synced to disk: after a power cut the layer is cut once more, and nothing wrong is found.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Final

from attrs import asdict, frozen

from coopery import digest as _digest
from coopery import use
from coopery.blobs import BlobStore, disk_error
from coopery.image import encode
from coopery.layer import Layer
from coopery.whole import write_whole

_CHECKSUM: Final = 64  # hexadecimal digits of sha256, and then a line end


@frozen
class Shape:
    """What is known of a tree once it has been laid out.

    Attributes:
        paths: as `coopery.layer.Tree.paths` gave them, in its order.
        folders: directories that the tree laid out, sorted.
        size: `coopery.layers.members.Members.size`.
    """

    paths: tuple[str, ...]
    folders: tuple[str, ...]
    size: int


class LayerStore:
    """The index over layers in a blob store. Many processes may use it, and cut the same layer, at once.

    Args:
        root: folder of the index; made when first written.
        blobs: where the layers are.
        staging: folder for half-made records, on the file system of *root*.
    """

    def __init__(self, root: Path, blobs: BlobStore, staging: Path) -> None:
        self.blobs = blobs
        self._layers = root / "cut"
        self._shapes = root / "shapes"
        self._staging = staging

    def get(self, key: str) -> Layer | None:
        """The layer kept under *key*, or None: unknown, damaged, or its blob is gone or has another size."""
        payload = _read(self._layers / key)
        layer = _layer(payload) if payload is not None else None
        return layer if layer is not None and self.blobs.size(layer.digest) == layer.size else None

    def put(self, key: str, layer: Layer) -> None:
        """Remember that *layer*, whose blob is stored, is what *key* names.

        Raises:
            CacheError: the disk refused.
        """
        # The packages are for people who look into the folder: whoever gets the layer names it anew.
        fields = ("diff_id", "digest", "size", "media_type", "packages")
        self._write(self._layers, key, encode({name: getattr(layer, name) for name in fields}))

    def shape(self, key: str) -> Shape | None:
        """What is known of the tree whose identity is *key*, or None: unknown or damaged."""
        path = self._shapes / key
        payload = _read(path)
        if payload is None:
            return None
        use.mark(path, self._staging)
        fields = json.loads(payload)
        return Shape(tuple(fields["paths"]), tuple(fields["folders"]), fields["size"])

    def put_shape(self, key: str, shape: Shape) -> None:
        """Remember what the tree whose identity is *key* turned out to have.

        Raises:
            CacheError: the disk refused.
        """
        # Escaped to ASCII, which holds even what is no text; JSON reads it faster, too.
        self._write(self._shapes, key, json.dumps(asdict(shape), separators=(",", ":")).encode())

    def _write(self, folder: Path, key: str, payload: bytes) -> None:
        sealed = sha256(payload).hexdigest().encode() + b"\n" + payload
        write_whole(folder / key, sealed, self._staging, synced=False)


def _read(path: Path) -> bytes | None:
    """The payload of one record; None where there is none, or its checksum says that it is not what was written."""
    try:
        with open(path, "rb", buffering=0) as stream:
            data = stream.readall()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise disk_error(exc) from exc
    payload = data[_CHECKSUM + 1 :]
    whole = data[: _CHECKSUM + 1] == sha256(payload).hexdigest().encode() + b"\n"
    return payload if whole else None


def _layer(payload: bytes) -> Layer:
    fields = json.loads(payload)
    return Layer(
        diff_id=_digest.parse(fields["diff_id"]),
        digest=_digest.parse(fields["digest"]),
        size=fields["size"],
        media_type=fields["media_type"],
        packages=tuple(fields["packages"]),
    )
