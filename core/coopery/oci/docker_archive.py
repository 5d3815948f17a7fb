"""What ``docker save`` writes and ``docker load`` reads: ``manifest.json``, configs and layer tars.

Three forms are read: layers in ``<id>/layer.tar`` (Docker 1.10 to 24; a layer that an image has twice is a symlink),
layers in ``<diff id>.tar`` (skopeo, podman), and layers among an OCI layout's blobs (Docker 25 on, read as OCI).
The second is written. Source: moby, image/spec/v1.2.md, "Combined Image JSON + Filesystem Changeset Format".
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from coopery import digest as _digest
from coopery.blobs import BlobStore
from coopery.digest import Digest
from coopery.errors import BaseError, IntegrityError
from coopery.image import Assembled, encode
from coopery.layer import TAR, Layer
from coopery.oci import config as _config
from coopery.oci import document
from coopery.oci.archive_files import ArchiveFiles
from coopery.oci.document import Reader
from coopery.oci.intake import take_unnamed
from coopery.oci.layer_blob import plain_blob
from coopery.oci.load import ambiguous, wrong_platform
from coopery.oci.reference import docker_reference, familiar
from coopery.oci.tar_file import Content, write_tar
from coopery.oci.validate import validate

_HEX = re.compile(r"[0-9a-f]{64}")


@frozen
class _Saved:
    """One image of the archive: paths of its config and layers, and its ``repository:tag`` names."""

    config: str
    names: tuple[str, ...]
    layers: tuple[str, ...]


def read_docker(files: ArchiveFiles, tag: str, platform: str, blobs: BlobStore) -> tuple[Digest, Assembled]:
    """Bring one image of a Docker archive into *blobs*. *tag* is ``repository:tag`` or the part behind the colon.

    Returns:
        Digest of the config, since there is no manifest, and the image.

    Raises:
        BaseError: no such tag or platform, or a file is absent.
        IntegrityError: damaged, ambiguous or hostile.
    """
    saved = [_entry(value, n, files.name) for n, value in enumerate(_manifest(files))]
    named = [entry for entry in saved if not tag or familiar(tag) in _names(entry)]
    if not named:
        there = ", ".join(name for entry in saved for name in entry.names) or "an image without a name"
        raise BaseError(f"{files.name}: no image with the tag {tag!r}", remedy=f"there is {there}")
    read = [(entry, *_read_config(files, entry)) for entry in named]
    fitting = [(entry, data, config) for entry, data, config in read if _config.platform_of(config) == platform]
    if not fitting:
        raise wrong_platform(files.name, platform, (_config.platform_of(config) for _, _, config in read))
    if len({entry.config for entry, _, _ in fitting}) > 1:
        raise ambiguous(files.name, (name for entry, _, _ in fitting for name in entry.names))
    image = _take(files, *fitting[0], blobs)
    return image.image_id, image


def write_docker_archive(image: Assembled, blobs: BlobStore, file: Path, tag: str = "") -> Digest:
    """Write *image* as ``docker load`` takes it, layers uncompressed. Returns the image id.

    Args:
        image: what to write.
        blobs: where its layers are; of compressed ones the uncompressed tars are kept here from now on.
        file: where to.
        tag: ``repository:tag``; empty for an image that is known by its id only.

    Raises:
        UsageError: Docker would not take *tag*.
        IntegrityError: *image* or a blob is not what it should be.
        StoreFull, CacheError: the disk refused.
    """
    names = [docker_reference(tag)] if tag else None
    validate(image)
    config = f"{_digest.hex_of(image.image_id)}.json"
    tars = [f"{_digest.hex_of(layer.diff_id)}.tar" for layer in image.layers]
    members: dict[str, Content] = {
        "manifest.json": b"[" + encode({"Config": config, "RepoTags": names, "Layers": tars}) + b"]",
        config: image.config,
    }
    for name, layer in zip(tars, image.layers, strict=True):
        members[name] = (_plain(layer, blobs), layer.diff_id)
    write_tar(file, members)
    return image.image_id


def _manifest(files: ArchiveFiles) -> list[Any]:
    return document.parse_array(files.small("manifest.json"), f"{files.name}: manifest.json")


def _entry(value: Any, number: int, name: str) -> _Saved:
    reader = Reader(value, f"{name}: manifest.json: $[{number}]")
    names, layers = reader.items("RepoTags", required=False), reader.items("Layers")
    if not all(isinstance(text, str) and text for text in (*names, *layers)):
        reader.fail("Layers", "arrays of names")
    return _Saved(reader.text("Config"), tuple(names), tuple(layers))


def _names(entry: _Saved) -> set[str]:
    return {familiar(name) for name in entry.names} | {name.rpartition(":")[2] for name in entry.names}


def _read_config(files: ArchiveFiles, entry: _Saved) -> tuple[bytes, dict[str, Any]]:
    where = f"{files.name}: {entry.config}"
    data = files.small(entry.config)
    stated = _HEX.search(entry.config)
    if stated and stated[0] != _digest.hex_of(_digest.of_bytes(data)):
        raise IntegrityError(f"{where}: named by a digest, but the bytes have {_digest.of_bytes(data)}")
    return data, _config.parse_config(data, where)


def _take(files: ArchiveFiles, entry: _Saved, data: bytes, config: dict[str, Any], blobs: BlobStore) -> Assembled:
    diff_ids = _config.diff_ids_of(config)
    if len(diff_ids) != len(entry.layers):
        raise IntegrityError(
            f"{files.name}: {len(entry.layers)} layers, but the config {entry.config} has {len(diff_ids)} diff ids"
        )
    layers = []
    for path, diff_id, line in zip(entry.layers, diff_ids, _config.layer_history(config), strict=True):
        where = f"{files.name}: {path}"
        layer = take_unnamed(files.open(path), files.size(path), diff_id, blobs, where)
        layers.append(evolve(layer, created_by=line))
    return Assembled(data, tuple(layers))


def _plain(layer: Layer, blobs: BlobStore) -> Path:
    return blobs.path(layer.digest) if layer.media_type == TAR else plain_blob(layer, blobs)
