"""What some stores keep besides records: the images themselves, locks and logs. None of it decides what a hit is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from coopery import records
from coopery.errors import CacheError, CooperyError
from coopery.events import Emit, Warned
from coopery.image import encode
from coopery.ledger import image as as_image
from coopery.stores import attaching, images_of

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.image import Image
    from coopery.records import Resolution

_MOST: Final = 16 << 20
"""Bytes of the end of a log that are kept: what failed stands there."""


def send(builder: Builder, made: Resolution) -> None:
    """Put the image of *made* where the store keeps images, so that it is there when the record says what it is.

    Raises:
        CacheError: the store has no room for it, or cannot be reached.
    """
    to = images_of(builder.cache)
    if not to:
        return
    try:
        builder.push(as_image(made, made.placement), to)
    except CacheError:
        raise
    except CooperyError as exc:
        raise CacheError(f"the image could not be put into {to}: {exc.message}", remedy=exc.remedy) from exc


def attach(builder: Builder, image: Image, log: Path, emit: Emit) -> None:
    """Keep the lock and the log of *image*, which was just built, with its record, where the store does that.

    What fails is warned of: the build is over, and its record is written.
    """
    store = attaching(builder.cache)
    if store is None or not image.cached:
        return
    try:
        known = builder.ledger.resolution(image.key, image.under)
        if known is None or known.image != image.id:
            return
        files = {"log": _end(log)} | ({"lock": encode(known.lock.to_json())} if known.lock is not None else {})
        store.attach("resolution", records.resolution_name(image.key, image.under), files)
    except (CacheError, OSError) as exc:
        emit(Warned(key=image.key, message=f"lock and log were not kept with the record: {exc}"))


def log_of(builder: Builder, key: str) -> str | None:
    """The log that the store keeps with the record of *key*; None where it keeps none."""
    store = attaching(builder.cache)
    data = store.attached("resolution", key, "log") if store is not None else None
    return None if data is None else data.decode(errors="replace")


def tell_promise(builder: Builder) -> None:
    """Say once what a store without compare-and-set promises instead, where no leases make up for it."""
    promise = builder.cache.abilities.promise
    if promise and "promise" not in builder.told and builder.leasing.agreed is None:
        builder.told.add("promise")
        builder.emit(Warned(message=f"{builder.cache!r}: {promise}; name leases (--leases redis://…) to build once"))


def _end(log: Path) -> bytes:
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - _MOST))
        return file.read()
