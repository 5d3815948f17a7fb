"""Images that are in another place than the builder's own: where they are, and how they come here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from coopery.digest import hex_of
from coopery.engines.choose import at_place
from coopery.errors import CooperyError, NotFound, PluginError
from coopery.image import Assembled
from coopery.oci.layout import Layout
from coopery.snapshots import kept

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.image import Image
    from coopery.ledger import Details


def details(builder: Builder, key: str, under: str = "") -> Details:
    """What is recorded of *key*, seen from the builder's place or, where nobody named a backend, the image's own.

    Raises:
        NotFound: nothing is recorded.
    """
    found = builder.ledger.details(key, under)
    other = None if found.exists or builder.named else _keeper(builder, found.image.place)
    return found if other is None else other.ledger.details(key, under)


def listed(builder: Builder) -> tuple[Details, ...]:
    """Every key that is recorded, newest first. An engine that cannot be asked has nothing, as far as a list says."""
    return tuple(_looked_up(builder, one) for one in builder.ledger.list())


def image_of(builder: Builder, key: str) -> Image | None:
    """The image of *key* where it is, if nobody named a backend; else brought into the builder's place; or None.

    Of many who ask at once, here or in other processes, one brings it.

    Raises:
        BackendError, CacheError: the place or the disk refused.
    """
    from coopery.building.once import fill

    known = builder.ledger.newest(key)
    if known is None:
        return None
    if not builder.named and (other := _keeper(builder, known.placement.place)) is not None:
        found = other.ledger.believe(known)
        if found is not None:
            return found
    return fill(builder, known)


def assembled(builder: Builder, image: Image) -> Assembled:
    """*image* with its config and layers, all of whose blobs are here: from the layout, or kept beside the blobs.

    Raises:
        NotFound: its bytes are not on this machine.
        IntegrityError: they are damaged.
    """
    if image.place.startswith("oci:"):
        return Layout(builder.home.images, builder.home.staging).open(image.digest, image.platform)[1]
    found = kept.load(builder.workshop(builder.emit), hex_of(image.id), "")
    if found is None or found.digest != image.id:
        raise NotFound(f"the layers of {image.reference} are not here", remedy="build its definition again")
    return Assembled(found.config, found.layers)


def _looked_up(builder: Builder, found: Details) -> Details:
    if found.exists or builder.named or found.image.place == builder.place.name:
        return found
    try:
        other = _keeper(builder, found.image.place)
        known = other.ledger.newest(found.key) if other is not None else None
        here = other.ledger.locate(known) if other is not None and known is not None else None
    except CooperyError:
        return found
    return found if here is None else evolve(found, exists=True, image=here)


def _keeper(builder: Builder, place: str) -> Builder | None:
    try:
        return at_place(builder, place)
    except PluginError:
        return None
