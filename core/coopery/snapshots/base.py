"""Fetching a base without an engine: from this machine, from a registry, or made by a registered base source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coopery.backend import Snapshot
from coopery.definition import (
    ArchiveBase,
    ContextBase,
    DebianBase,
    DockerfileBase,
    ImageBase,
    LayoutBase,
    RootfsBase,
    ScratchBase,
    SifBase,
)
from coopery.digest import Digest
from coopery.errors import BaseError, IntegrityError, UnsupportedError
from coopery.events import Warned
from coopery.image import Assembled
from coopery.oci.config import platform_of
from coopery.seal import recheck
from coopery.snapshots import config as _config

if TYPE_CHECKING:
    from pathlib import Path

    from coopery.backend import Workshop
    from coopery.sealed import SealedBase


def fetch(workshop: Workshop, base: SealedBase, platform: str, backend: str) -> Snapshot:
    """Fetch *base* for *platform*; every layer's blob is in ``workshop.blobs`` on return.

    Raises:
        BaseError: absent, damaged, changed since the key was made, or for another platform.
        UnsupportedError: a base that needs an engine.
        NetworkError: the registry cannot be reached, or refuses.
    """
    digest, image = _read(workshop, base, platform, backend)
    _check_platform(image, platform)
    return Snapshot(backend, image.image_id, digest, image.config, image.layers)


def _read(workshop: Workshop, base: SealedBase, platform: str, backend: str) -> tuple[Digest, Assembled]:
    match base.base:
        case ScratchBase():
            image = Assembled(_config.empty(platform), ())
        case DebianBase():
            image = workshop.base_sources("debian").fetch(base, platform)
        case LayoutBase() | ArchiveBase() | RootfsBase() | SifBase():
            return _local(workshop, base, platform)
        case ImageBase(image=reference):
            from coopery.registry.images import fetch_base

            return fetch_base(workshop, reference, base.pinned, platform)
        case DockerfileBase():
            raise UnsupportedError(backend, "dockerfile", "$.base.dockerfile")
        case ContextBase():
            raise UnsupportedError(backend, "dockerfile", "$.base.context")
    return image.image_id, image


def _local(workshop: Workshop, base: SealedBase, platform: str) -> tuple[Digest, Assembled]:
    """A base that is a file or folder of this machine. What the key names is what is read, or it is an error."""
    path = _path(base)
    recheck(base)
    match base.base:
        case LayoutBase(tag=tag):
            from coopery.oci.archive import leads_to, read_layout

            digest, image = read_layout(path, tag, platform, workshop.blobs)
            if base.content not in (None, digest) and not leads_to(path, base.content, platform, digest):
                raise IntegrityError(f"{path} changed since the key was made: expected {base.content}, got {digest}")
            return digest, image
        case ArchiveBase(tag=tag):
            from coopery.oci.archive import read_archive

            return read_archive(path, tag, platform, workshop.blobs)
        case SifBase():
            from coopery.sif.base import read_sif

            image = read_sif(path, platform, workshop.blobs, warn=lambda words: workshop.emit(Warned(message=words)))
            return image.image_id, image
    from coopery.oci.rootfs import read_rootfs

    image = read_rootfs(path, platform, workshop.blobs)
    return image.image_id, image


def _path(base: SealedBase) -> Path:
    if base.path is None:
        raise BaseError(f"$.base: {base.base} was sealed without its path")
    return base.path


def _check_platform(image: Assembled, platform: str) -> None:
    found = platform_of(image.document)
    if found != platform:
        raise BaseError(
            f"$.base: it is for {found}, and the target is {platform}",
            remedy=f"set target: {{platform: {found}}}, or take a base for {platform}",
        )
