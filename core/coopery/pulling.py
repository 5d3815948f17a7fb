"""Images out of registries: into the builder's layout, or in place of a build that was done elsewhere already.

Every byte is checked by its digest on the way in, and what is here already does not travel.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from coopery import platform as _platform
from coopery import records
from coopery.definition import Environment, ImageBase
from coopery.digest import Digest, hex_of
from coopery.engines.transfer import note
from coopery.errors import BaseError, IntegrityError, NetworkError, NotFound, UsageError
from coopery.events import Emit, StageFinished, StageStarted, Warned
from coopery.image import Assembled, Image
from coopery.ledger import image as as_image
from coopery.oci import media
from coopery.oci.config import platform_of
from coopery.oci.descriptor import Descriptor
from coopery.oci.fetching import fetch
from coopery.oci.layout import Layout
from coopery.oci.meter import Meter
from coopery.oci.reference import check_ref_name
from coopery.places.registry import SCHEME
from coopery.records import Placement, Resolution
from coopery.registry.connected import connected
from coopery.registry.images import described, remember
from coopery.registry.reference import Reference, parse

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.registry import Registry


def pull(builder: Builder, reference: str, platform: str = _platform.DEFAULT) -> Image:
    """Bring the image *reference* for *platform* into the builder's layout, listed there under the reference.

    Returns:
        The image, with no key and generation 0: nothing is known of the definition that it came from.

    Raises:
        UsageError: no reference.
        NetworkError, BaseError: it cannot be had, or not for *platform*.
        IntegrityError: bytes are not what they should be.
        CacheError: our disk refused.
    """
    builder.home.make()
    wanted = parse(reference)
    with connected(wanted, builder.settings, builder.emit) as registry:
        descriptor = registry.resolve(wanted.digest or wanted.tag, platform)
        return _Transfer(builder, registry, builder.emit).run(descriptor, _tag_for(wanted, descriptor.digest))


def fetch_known(builder: Builder, known: Resolution, emit: Emit) -> Image | None:
    """The image of *known*, from a registry that is recorded to have it; None where none has it, or can be asked.

    Of a registry that fails the user is warned: the image is then built again from the record.
    """
    from coopery.pushing import tag_of

    for placed in registries(builder, known):
        wanted = parse(f"{placed.place}@{placed.digest}")
        try:
            with connected(wanted, builder.settings, emit) as registry:
                descriptor, _ = registry.manifest(placed.digest)
                transfer = _Transfer(builder, registry, emit, known.image)
                here = transfer.run(descriptor, tag_of(as_image(known, placed)))
        except (NetworkError, BaseError, IntegrityError, UsageError) as exc:
            message = f"{placed.place} is recorded to have the image, but did not give it: {exc.message}"
            emit(Warned(key=known.key, message=message))
        else:
            return as_image(known, Placement(here.place, here.digest, here.size, here.reference))
    return None


def find(builder: Builder, reference: str) -> Image:
    """The image in the builder's layout that `pull` has called *reference*: ``oci:FOLDER:TAG``.

    Raises:
        NotFound: no such image, or another folder.
    """
    layout = Layout(builder.home.images, builder.home.staging)
    prefix = f"oci:{layout.root}:"
    tag = reference.removeprefix(prefix)
    entry = next((entry for entry in layout.entries() if entry.annotation(media.REF_NAME) == tag), None)
    if not reference.startswith(prefix) or entry is None:
        raise NotFound(f"no image is called {reference}", remedy=f"coopery pull prints what begins with {prefix}")
    digest, image = layout.open(entry.digest, entry.platform)
    return _pulled(image, Placement(f"oci:{layout.root}", digest, entry.size + _bytes(image), reference))


def current_digest(builder: Builder, environment: Environment) -> Digest:
    """The manifest, for the target's platform, that the tag of the definition's ``image:`` base names today.

    Raises:
        UsageError: the base is no ``image:``.
        NetworkError, BaseError: it cannot be had, or not for the platform.
    """
    if not isinstance(environment.base, ImageBase):
        raise UsageError("$.base: no image of a registry, so it has no tag that could have moved")
    wanted = parse(environment.base.image)
    with connected(wanted, builder.settings, builder.emit) as registry:
        return registry.resolve(wanted.digest or wanted.tag, environment.target.platform).digest


class _Transfer:
    """One image on its way from a registry into the builder's layout."""

    def __init__(self, builder: Builder, registry: Registry, emit: Emit, expected: Digest | None = None) -> None:
        self._builder = builder
        self._registry = registry
        self._emit = emit
        self._expected = expected

    def run(self, descriptor: Descriptor, tag: str) -> Image:
        """The image that *descriptor* names, listed under *tag* and recorded as being in both places."""
        builder, reference = self._builder, self._registry.reference
        started = time.monotonic()
        self._emit(StageStarted(stage="pull", detail=str(reference)))
        layout = Layout(builder.home.images, builder.home.staging)
        meter = Meter("pull", self._emit)
        stored = described(self._registry, descriptor, layout.blobs)
        if self._expected not in (None, stored.image_id):
            raise IntegrityError(f"{descriptor.digest} is image {stored.image_id}, recorded as {self._expected}")
        image = fetch(self._registry.source(), stored, layout.blobs, meter, as_stored=False)
        entry = layout.add(image, tag)
        remember(self._registry, stored, layout.blobs)
        root = f"oci:{layout.root}"
        here = Placement(root, entry.digest, entry.size + _bytes(image), f"{root}:{tag}")
        there = f"{SCHEME}{self._registry.name}"
        size = descriptor.size + _bytes(stored)
        if note(builder, image.image_id, Placement(there, descriptor.digest, size, str(reference)), self._emit):
            note(builder, image.image_id, here, self._emit)
        seconds = time.monotonic() - started
        detail = f"{len(image.layers)} layers, {meter.done / 1e6:.1f} MB"
        self._emit(StageFinished(stage="pull", seconds=seconds, detail=detail))
        return _pulled(image, here)


def registries(builder: Builder, known: Resolution) -> Iterator[Placement]:
    """Registries that are recorded to have the image of *known*."""
    for record in builder.cache.list("placement", records.placement_name(known.image, SCHEME)):
        if (placed := records.placement(record)) is not None:
            yield placed


def _pulled(image: Assembled, here: Placement) -> Image:
    return Image(
        key="",
        id=image.image_id,
        reference=here.reference,
        place=here.place,
        digest=here.digest,
        generation=0,
        platform=platform_of(image.document),
        size=here.size,
        layers=len(image.layers),
    )


def _bytes(image: Assembled) -> int:
    return len(image.config) + sum(layer.size for layer in image.layers)


def _tag_for(wanted: Reference, digest: Digest) -> str:
    """The tag in the layout: the reference itself where the grammar of layouts allows it."""
    try:
        return check_ref_name(str(wanted))
    except UsageError:
        return f"{wanted.host.replace(':', '-')}/{hex_of(digest)[:20]}"
