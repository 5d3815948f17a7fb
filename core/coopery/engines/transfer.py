"""One key, many places: an image that is known and whole somewhere is put into this place. No solve, no step.

Its bytes are in the blob store of this machine, or come from a cache folder or a registry that is recorded to have it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from attrs import evolve

from coopery import records
from coopery.backend import Snapshot
from coopery.digest import hex_of
from coopery.errors import BackendError, CacheError, IntegrityError, NotFound
from coopery.events import Emit, StageFinished, StageStarted, Warned
from coopery.image import Assembled, Made
from coopery.ledger import image as as_image
from coopery.oci.config import platform_of
from coopery.oci.layout import Layout
from coopery.place import Presence
from coopery.records import Placement, Resolution
from coopery.snapshots import config as _config
from coopery.snapshots import kept

if TYPE_CHECKING:
    from coopery.backend import Backend, Placed
    from coopery.build import Builder
    from coopery.digest import Digest
    from coopery.image import Image


def bring(builder: Builder, backend: Backend, known: Resolution, emit: Emit) -> Image | None:
    """The image of *known*, put into the builder's place; None where its bytes are nowhere to be had.

    Raises:
        BackendError, CacheError: the place or the disk refused.
    """
    fetched = None
    image = here(builder, known)
    if image is None:
        from coopery.engines.neighbours import fetch_near

        image = fetch_near(builder, known, emit)
    if image is None:
        from coopery.pulling import fetch_known

        fetched = fetch_known(builder, known, emit)
        if fetched is None or fetched.place == builder.place.name:
            return fetched and _brought(fetched)
        layout = Layout(builder.home.images, builder.home.staging)
        image = layout.open(fetched.digest, known.platform)[1]
    tag = records.tag(known.key, known.generation, known.under)
    placed = _put(backend, image, known.base, tag, emit)
    placement = Placement(placed.place, placed.digest, placed.size, placed.reference)
    recorded = note(builder, known.image, placement, emit)
    return _brought(evolve(as_image(known, placement), cached=recorded))


def note(builder: Builder, image: Digest, placement: Placement, emit: Emit) -> bool:
    """Record that *image* was brought to *placement*; False where the store refuses, which costs no image."""
    try:
        builder.ledger.record(image, placement)
    except CacheError as exc:
        emit(Warned(message=f"the image is in {placement.place}, but that could not be recorded: {exc.message}"))
        return False
    return True


class Nowhere(NotFound):
    """The bytes of a known image are nowhere to be had."""


def must_bring(builder: Builder, backend: Backend, known: Resolution, emit: Emit) -> Image:
    """As `bring`.

    Raises:
        Nowhere: where that returns None.
    """
    image = bring(builder, backend, known, emit)
    if image is None:
        words = f"the image of key {known.key} is recorded, and its bytes are nowhere to be had"
        raise Nowhere(words, remedy="build its definition again")
    return image


def _brought(image: Image) -> Image:
    """*image* as this call's own work: no hit, and no layer made."""
    return evolve(image, hit=False, made=Made(layers_reused=image.layers))


def copy_into(builder: Builder, image: Image) -> Image:
    """*image*, which is on this machine, in the builder's own place.

    Raises:
        NotFound: its bytes are not here.
        BackendError, CacheError: the place or the disk refused.
    """
    from coopery.engines.elsewhere import assembled
    from coopery.pushing import tag_of

    whole = assembled(builder, image)
    placed = _put(builder.backend(builder.emit), whole, image.digest, tag_of(image), builder.emit)
    builder.ledger.record(image.id, Placement(placed.place, placed.digest, placed.size, placed.reference))
    return evolve(image, place=placed.place, digest=placed.digest, size=placed.size, reference=placed.reference)


def here(builder: Builder, known: Resolution) -> Assembled | None:
    """The image of *known* out of the blob store, where all of it is there and agrees with its config."""
    workshop = builder.workshop(builder.emit)
    snapshot = kept.load(workshop, hex_of(known.image), known.backend)
    if snapshot is not None and snapshot.digest == known.image:
        return Assembled(snapshot.config, snapshot.layers)
    blobs = workshop.blobs
    try:
        image = Assembled(blobs.read(known.image), known.layers)
        stated = image.document["rootfs"]["diff_ids"]
    except (FileNotFoundError, IntegrityError, ValueError, LookupError, TypeError):
        return None
    whole = all(blobs.size(layer.digest) == layer.size for layer in known.layers)
    return image if whole and stated == [layer.diff_id for layer in known.layers] else None


def keep(builder: Builder, image: Assembled) -> None:
    """Keep *image* beside the blobs as a snapshot of its own, so that it can be brought to other places.

    Raises:
        CacheError: the disk refused.
    """
    name = image.image_id
    kept.save(builder.workshop(builder.emit), Snapshot("", name, name, image.config, image.layers), hex_of(name))


def _put(backend: Backend, image: Assembled, base: Digest, tag: str, emit: Emit) -> Placed:
    started = time.monotonic()
    emit(StageStarted(stage="image", detail=f"into {backend.place.name}, as it was built before"))
    nothing = _config.empty(platform_of(image.document))
    below = Snapshot(backend.name, "", base, nothing)  # nothing of it is promised to be in the engine
    placed = backend.materialize(below, image, image.layers, tag)
    if backend.place.exists(image.image_id, placed.digest) is not Presence.YES:
        raise BackendError(backend.name, f"{placed.place} does not have {image.image_id} after it was put")
    emit(StageFinished(stage="image", seconds=time.monotonic() - started))
    return placed
