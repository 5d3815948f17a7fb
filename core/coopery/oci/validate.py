"""The rules of the OCI image spec, checked on what we are about to hand out. Every test of an image ends here.

Source: OCI image spec v1.1: config.md, manifest.md, image-layout.md. All mistakes are reported at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coopery import digest as _digest
from coopery.blobs import BlobStore
from coopery.errors import CooperyError, IntegrityError
from coopery.image import Assembled
from coopery.layer import TAR, Layer
from coopery.oci import config as _config
from coopery.oci import media
from coopery.oci.layer_blob import opened
from coopery.oci.load import load
from coopery.oci.manifest import parse_index
from coopery.oci.marker import check_marker
from coopery.oci.source import StoreSource


def validate(image: Assembled) -> None:
    """Check *image* by itself: config, layers, and that they agree.

    Raises:
        IntegrityError: with every rule that is broken.
    """
    _raise(f"image {_digest.short(image.image_id)}", list(_mistakes(image)))


def validate_layout(root: Path) -> tuple[Assembled, ...]:
    """Check everything in the layout at *root*: JSON, sizes, digests and diff ids of every blob an image needs.

    Returns:
        Its images, in the order of the index.

    Raises:
        IntegrityError: with every rule that is broken.
    """
    blobs = BlobStore(root / "blobs", root / "blobs")  # only read from: nothing is staged
    check_marker((root / "oci-layout").read_bytes(), str(root))
    entries = parse_index((root / "index.json").read_bytes(), media.INDEX, f"{root}/index.json")
    mistakes, images = [], []
    for entry in entries:
        try:
            image = load(StoreSource(blobs, str(root)), entry)
        except CooperyError as exc:
            mistakes.append(exc.message)
            continue
        images.append(image)
        mistakes.extend(_mistakes(image))
        mistakes.extend(_damage(image.layers, blobs))
        if entry.platform and entry.platform != _config.platform_of(image.document):
            mistakes.append(f"the index says {entry.platform}, the config {_config.platform_of(image.document)}")
    _raise(str(root), mistakes)
    return tuple(images)


def _raise(where: str, mistakes: list[str]) -> None:
    if mistakes:
        raise IntegrityError("\n".join(f"{where}: {mistake}" for mistake in dict.fromkeys(mistakes)))


def _mistakes(image: Assembled) -> Iterator[str]:
    try:
        config = _config.parse_config(image.config, "config")
    except IntegrityError as exc:
        yield exc.message
        return
    yield from _of_layers(image.layers, config)
    yield from _of_history(config)
    yield from _of_execution(config.get("config") or {})


def _of_layers(layers: tuple[Layer, ...], config: dict[str, Any]) -> Iterator[str]:
    if not layers:
        yield "an image has at least one layer"
    if tuple(layer.diff_id for layer in layers) != _config.diff_ids_of(config):
        yield "rootfs.diff_ids are not those of the layers"
    for layer in layers:
        if layer.media_type not in media.COMPRESSION:
            yield f"layer {layer.digest}: media type {layer.media_type}"
        if layer.media_type == TAR and layer.digest != layer.diff_id:
            yield f"layer {layer.digest}: uncompressed, but its diff id is {layer.diff_id}"
        if layer.size < 0:
            yield f"layer {layer.digest}: size {layer.size}"


def _of_history(config: dict[str, Any]) -> Iterator[str]:
    entries = config.get("history")
    if entries is None:
        return
    filled = sum(not entry.get("empty_layer") for entry in entries)
    if filled != len(config["rootfs"]["diff_ids"]):
        yield f"history accounts for {filled} layers of {len(config['rootfs']['diff_ids'])}"


def _of_execution(execution: Any) -> Iterator[str]:
    if not isinstance(execution, dict):
        yield "$.config: expected an object"
        return
    for name in ("Env", "Entrypoint", "Cmd"):
        value = execution.get(name)
        if value is not None and not (isinstance(value, list) and all(isinstance(text, str) for text in value)):
            yield f"$.config.{name}: expected an array of strings"
    for name in ("User", "WorkingDir", "StopSignal"):
        if not isinstance(execution.get(name, ""), str):
            yield f"$.config.{name}: expected a string"
    env = execution.get("Env")
    yield from (f"$.config.Env: {text!r} is no NAME=value" for text in env or () if text.find("=") < 1)


def _damage(layers: tuple[Layer, ...], blobs: BlobStore) -> Iterator[str]:
    for layer in dict.fromkeys(layers):
        if blobs.size(layer.digest) != layer.size:
            yield f"layer {layer.digest}: {blobs.size(layer.digest)} bytes, expected {layer.size}"
            continue
        try:
            with opened(layer, blobs):
                pass
        except IntegrityError as exc:
            yield exc.message
