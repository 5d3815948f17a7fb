"""Whole images of a registry: what its manifests say, and bases brought into our blob store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coopery.blobs import BlobStore
from coopery.digest import Digest
from coopery.errors import BaseError, IntegrityError
from coopery.image import Assembled
from coopery.oci import document, media, repositories
from coopery.oci.config import platform_of
from coopery.oci.descriptor import Descriptor
from coopery.oci.fetching import fetch
from coopery.oci.intake import known
from coopery.oci.load import load
from coopery.oci.meter import Meter
from coopery.oci.source import StoreSource, read_document
from coopery.registry.reference import parse

if TYPE_CHECKING:
    from coopery.backend import Workshop
    from coopery.registry.client import Registry


def fetch_base(workshop: Workshop, image: str, pinned: Digest | None, platform: str) -> tuple[Digest, Assembled]:
    """The base *image* for *platform*; every layer's blob is in ``workshop.blobs`` on return, as the registry has it.

    What is named by digest and here already is believed without asking anybody.

    Args:
        workshop: as lent to plugins.
        image: reference, as the definition has it.
        pinned: digest of the platform's manifest that is wanted instead of what a tag names today.
        platform: ``linux/amd64``.

    Returns:
        Digest of the platform's manifest, and the image.

    Raises:
        NetworkError, BaseError: it cannot be had, or not for *platform*.
        IntegrityError: bytes are not what they should be.
        CacheError: our disk refused.
    """
    wanted = parse(image)
    digest = pinned or wanted.digest
    if digest is not None and (kept := _kept(digest, platform, workshop.blobs)) is not None:
        return digest, kept
    from coopery.registry.connected import connected  # nothing that speaks http is loaded for what is here

    with connected(wanted, workshop.settings, workshop.emit) as registry:
        descriptor = registry.resolve(digest or wanted.tag, platform)
        stored = described(registry, descriptor, workshop.blobs)
        remember(registry, stored, workshop.blobs)
        return descriptor.digest, fetch(registry.source(), stored, workshop.blobs, Meter("base", workshop.emit))


def described(registry: Registry, descriptor: Descriptor, blobs: BlobStore) -> Assembled:
    """What manifest and config say, both kept among *blobs*, so that next time nobody is asked for them."""
    source = registry.source()
    image = load(source, descriptor)
    for data in (read_document(source, descriptor), image.config):
        blobs.put(data)
    return image


def _kept(digest: Digest, platform: str, blobs: BlobStore) -> Assembled | None:
    """The image with manifest *digest*, where all of it is here and it is for *platform*."""
    try:
        data = blobs.read(digest, document.MAX_BYTES)
        kind = document.parse(data, digest).get("mediaType", media.MANIFEST)
        image = load(StoreSource(blobs, "kept"), Descriptor(kind, digest, len(data)))
    except (OSError, BaseError, IntegrityError):  # not all of it, or damaged: it is fetched
        return None
    whole = all(known(layer, blobs) for layer in image.layers)
    return image if whole and platform_of(image.document) == platform else None


def remember(registry: Registry, image: Assembled, blobs: BlobStore) -> None:
    """Note that the repository has the blobs of *image*, so that a push to another one can mount them."""
    reference = registry.reference
    for digest in {image.image_id, *(layer.digest for layer in image.layers)}:
        repositories.remember(digest, reference.host, reference.repository, blobs)
