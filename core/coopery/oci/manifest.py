"""Manifests and indexes. Source: OCI image spec v1.1, manifest.md and image-index.md.

A document that could be read as a manifest and as an index is refused (CVE-2021-41190), and so is one whose own
``mediaType`` is not that of the descriptor which led to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from attrs import frozen

from coopery import digest
from coopery.image import Assembled, encode
from coopery.oci import descriptor as _descriptor
from coopery.oci import document, media
from coopery.oci.descriptor import Descriptor
from coopery.oci.document import Reader

_OF_MANIFESTS: Final = ("config", "layers", "fsLayers", "history")
_OF_INDEXES: Final = ("manifests",)
_KNOWN: Final = media.MANIFESTS | media.INDEXES


@frozen
class Manifest:
    """One image for one platform: its config, and its layers from the bottom up, with media types as we keep them."""

    config: Descriptor
    layers: tuple[Descriptor, ...]


def parse_manifest(data: bytes, media_type: str, where: str) -> Manifest:
    """Read a manifest that a descriptor of *media_type* led to.

    Raises:
        IntegrityError: malformed, ambiguous, not an image's manifest, or with a layer that is no tar we read.
    """
    reader = _open(data, media_type, where, refused=_OF_INDEXES)
    config = _descriptor.from_json(reader.get("config"), f"{where}: $.config")
    if config.media_type not in media.CONFIGS:
        reader.at("config").fail("mediaType", f"an image config, {media.CONFIG}")
    layers = [_layer(value, f"{where}: $.layers[{n}]") for n, value in enumerate(reader.items("layers"))]
    return Manifest(config, tuple(layers))


def parse_index(data: bytes, media_type: str, where: str) -> tuple[Descriptor, ...]:
    """The manifests and indexes that an index lists. Entries of media types that we do not know are left out.

    Raises:
        IntegrityError: malformed or ambiguous.
    """
    reader = _open(data, media_type, where, refused=_OF_MANIFESTS)
    found = []
    for number, value in enumerate(reader.items("manifests")):
        place = f"{where}: $.manifests[{number}]"
        if _descriptor.media_type(Reader(value, place)) in _KNOWN:
            found.append(_descriptor.from_json(value, place))
    return tuple(found)


def make_manifest(image: Assembled) -> bytes:
    """The manifest of *image*: equal bytes for an equal image."""
    layers = [Descriptor(layer.media_type, layer.digest, layer.size).to_json() for layer in image.layers]
    return encode(
        {
            "schemaVersion": 2,
            "mediaType": media.MANIFEST,
            "config": Descriptor(media.CONFIG, image.image_id, len(image.config)).to_json(),
            "layers": layers,
        }
    )


def make_entry(manifest: bytes, platform: str, tag: str) -> Descriptor:
    """The entry of a layout's index that calls *manifest* by *tag*."""
    return Descriptor(media.MANIFEST, digest.of_bytes(manifest), len(manifest), platform, ((media.REF_NAME, tag),))


def make_index(entries: Iterable[dict[str, Any]]) -> bytes:
    """An index of *entries*, descriptors as plain data, in their order."""
    return encode({"schemaVersion": 2, "mediaType": media.INDEX, "manifests": list(entries)})


def _open(data: bytes, media_type: str, where: str, refused: tuple[str, ...]) -> Reader:
    reader = Reader(document.parse(data, where), f"{where}: $")
    reader.whole("schemaVersion", 2, 2)
    if reader.text("mediaType", media_type) != media_type:
        reader.fail("mediaType", f"{media_type}, as its descriptor says")
    for name in refused:
        if name in reader:
            reader.fail(name, "no such field: it could be read as a manifest and as an index")
    return reader


def _layer(value: Any, where: str) -> Descriptor:
    layer = _descriptor.from_json(value, where)
    if layer.media_type not in media.LAYERS:
        Reader(value, where).fail("mediaType", "a layer's tar, plain, gzip or zstd, whose bytes are in this image")
    return Descriptor(media.LAYERS[layer.media_type], layer.digest, layer.size)
