"""From a descriptor to an image: choose the platform's manifest, read it and its config, describe the layers.

Layers' content is not looked at here; `coopery.oci.intake` does that while it copies them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from coopery.errors import BaseError, IntegrityError
from coopery.image import Assembled
from coopery.layer import TAR, Layer
from coopery.oci import config as _config
from coopery.oci import media
from coopery.oci.descriptor import Descriptor
from coopery.oci.manifest import Manifest, parse_index, parse_manifest
from coopery.oci.source import Source, read_document

_MAX_NESTING: Final = 4
_MAX_DOCUMENTS: Final = 200


def load(source: Source, descriptor: Descriptor) -> Assembled:
    """The image whose manifest *descriptor* names; all JSON verified.

    Raises:
        BaseError: a document is not there.
        IntegrityError: damaged, ambiguous, or config and manifest disagree.
    """
    where = f"{source.name}: manifest {descriptor.digest}"
    manifest = parse_manifest(read_document(source, descriptor), descriptor.media_type, where)
    data = read_document(source, manifest.config)
    config = _config.parse_config(data, f"{source.name}: config {manifest.config.digest}")
    return Assembled(data, _layers(manifest, config, where))


def choose(entries: Iterable[Descriptor], platform: str, source: Source) -> Descriptor | None:
    """The first manifest for *platform* among *entries* and the indexes that they lead to; None where there is none.

    Raises:
        IntegrityError: indexes nested more than 4 deep, or more than 200 documents to look at.
    """
    return next((entry for entry, found in _manifests(entries, source) if found == platform), None)


def platforms(entries: Iterable[Descriptor], source: Source) -> tuple[str, ...]:
    """Platforms of all manifests that *entries* lead to, sorted."""
    return tuple(sorted({platform for _, platform in _manifests(entries, source)}))


def wrong_platform(where: str, platform: str, found: Iterable[str]) -> BaseError:
    """The error for an image that is not there for *platform*."""
    there = ", ".join(sorted(set(found))) or "none"
    return BaseError(
        f"{where}: no image for {platform}; there is {there}",
        remedy="set target.platform to one of those, or take a base for the platform you need",
    )


def ambiguous(where: str, names: Iterable[str]) -> BaseError:
    """The error for an archive or layout with several images and no tag that tells which."""
    return BaseError(f"{where}: several images; say which by tag", remedy=f"there is {', '.join(sorted(set(names)))}")


def _manifests(entries: Iterable[Descriptor], source: Source) -> Iterator[tuple[Descriptor, str]]:
    pending = [(entry, 0) for entry in entries][::-1]
    read = 0
    while pending:
        entry, depth = pending.pop()
        if entry.media_type in media.MANIFESTS and entry.platform:
            yield entry, entry.platform
            continue
        read += 1
        if depth > _MAX_NESTING or read > _MAX_DOCUMENTS:
            raise IntegrityError(f"{source.name}: indexes nested more than {_MAX_NESTING} deep, or too many of them")
        if entry.media_type in media.MANIFESTS:
            yield entry, _config.platform_of(load(source, entry).document)
            continue
        data = read_document(source, entry)
        inner = parse_index(data, entry.media_type, f"{source.name}: index {entry.digest}")
        pending.extend((child, depth + 1) for child in reversed(inner))


def _layers(manifest: Manifest, config: dict[str, Any], where: str) -> tuple[Layer, ...]:
    diff_ids = _config.diff_ids_of(config)
    if len(diff_ids) != len(manifest.layers):
        raise IntegrityError(f"{where}: {len(manifest.layers)} layers, but the config has {len(diff_ids)} diff ids")
    layers = []
    for stored, diff_id, line in zip(manifest.layers, diff_ids, _config.layer_history(config), strict=True):
        if stored.media_type == TAR and stored.digest != diff_id:
            raise IntegrityError(f"{where}: the plain layer {stored.digest} cannot have the diff id {diff_id}")
        layers.append(Layer(diff_id, stored.digest, stored.size, stored.media_type, line))
    return tuple(layers)
