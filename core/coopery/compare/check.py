"""Building again and comparing: whether an image is a function of its lock, as we say that it is.

The second build has a cache folder of its own, with nothing in it but the record of the first: the lock, the digest of
the base. What was fetched and is verified by hash on every use (packages, compressed layers of a base) is lent to it;
layers are cut, bytecode is compiled, steps are run anew.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from coopery import digest as _digest
from coopery import records, use
from coopery.blobs import BlobStore
from coopery.collect.census import SHELVES
from coopery.collect.sweep import delete
from coopery.compare.drift import Drift, drifts
from coopery.compare.sides import in_home
from coopery.digest import Digest, short
from coopery.engines import elsewhere
from coopery.engines.transfer import copy_into
from coopery.errors import BaseError, CooperyError, DriftError, IntegrityError
from coopery.home import Home
from coopery.image import Assembled, Image
from coopery.layer import TAR, Layer
from coopery.oci.intake import remember
from coopery.oci.layer_blob import name_of
from coopery.oci.verified import check as check_digest

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.definition import Environment
    from coopery.locks.fitting import Choice
    from coopery.records import Resolution

MOST: Final = 1000
"""Paths that a DriftError carries at most."""

_SHOWN: Final = 5


@frozen
class Checked:
    """An image that came out the same twice.

    Attributes:
        image: as recorded.
        layers: how many were compared.
        size: their bytes.
        packages: in the lock; None where the user manages Python.
        moved_base: the base's digest then and now, where it can no longer be had as it was: layers of packages were
            compared then, and nothing below them. Empty otherwise.
        seconds: that building again took.
    """

    image: Image
    layers: int
    size: int
    packages: int | None
    moved_base: tuple[str, ...]
    seconds: float


def check(builder: Builder, environment: Environment, lock: Choice = None) -> Checked:
    """See `coopery.build.Builder.check`."""
    image = builder.build(environment, lock=lock)
    if not (image.cached or builder.home.writable):  # built beside a folder that can only be read: so is its record
        builder = builder.aside
    recorded = _recorded(builder, image)
    started = time.monotonic()
    with use.working(builder.home.root), _scratch(builder.writing.home) as home:
        _lend(builder, home, recorded)
        again, resolution, after = _again(builder, environment, lock, home, recorded)
        before = _opened(builder, image)
        _check_same_packages(recorded, resolution)
        moved = () if resolution.base == recorded.base else (str(recorded.base), str(resolution.base))
        if moved:
            before, after = _above(recorded, before), _above(resolution, after)
        if (moved and _ids(before) != _ids(after)) or (not moved and image.id != again.id):
            if not image.place.startswith("oci:"):
                copy_into(builder, image)  # an engine has one store: its tag names the drifted image now
            raise _error(image, again, drifts(before, builder.home.blobs, after, home.blobs))
    return Checked(
        image=image,
        layers=len(before.layers),
        size=sum(layer.size for layer in before.layers),
        packages=len(recorded.lock.artifacts) if recorded.lock is not None else None,
        moved_base=moved,
        seconds=time.monotonic() - started,
    )


def _recorded(builder: Builder, image: Image) -> Resolution:
    name = records.resolution_name(image.key, image.under)
    record = builder.cache.get("resolution", name, image.generation)
    found = records.resolution(record)
    if found is None:
        raise IntegrityError(f"the record of key {image.key} is gone or damaged", remedy="build again")
    return _of(builder, image, found)


def _of(builder: Builder, image: Image, known: Resolution) -> Resolution:
    """What is known of *image*, which may only stand here for that of *known*."""
    here = builder.ledger.stand_in(known) if image.instead_of is not None else None
    return here or known


@contextmanager
def _scratch(home: Home) -> Iterator[Home]:
    folder = Path(tempfile.mkdtemp(prefix="check-", dir=home.staging))
    try:
        made = Home(folder / "home")
        made.make()
        yield made
    finally:
        delete(folder)


def _lend(builder: Builder, home: Home, recorded: Resolution) -> None:
    """Let the second build use what was fetched, and is verified by its hash whenever it is used."""
    for shelf in (*SHELVES, *builder.plugins_loaded.shelves()):
        root = builder.home.own if shelf.own else builder.home.root
        own, lent = root / shelf.folder, home.root / shelf.folder
        if shelf.fetched and own.is_dir() and not os.path.lexists(lent):
            lent.parent.mkdir(parents=True, exist_ok=True)
            lent.symlink_to(own, target_is_directory=True)
    for layer in recorded.layers:
        if layer.media_type != TAR and builder.home.blobs.size(layer.digest) == layer.size:
            _lend_layer(layer, builder.home.blobs, home.blobs)


def _lend_layer(layer: Layer, own: BlobStore, lent: BlobStore) -> None:
    with own.path(layer.digest).open("rb") as file:
        check_digest(name_of(layer), "digest", layer.digest, _digest.of_file(file))
    path = lent.path(layer.digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.link(own.path(layer.digest), path)
    remember(layer, lent)


def _again(
    builder: Builder, environment: Environment, lock: Choice, home: Home, recorded: Resolution
) -> tuple[Image, Resolution, Assembled]:
    """Build from the record alone."""
    from coopery.build import Builder as Again

    name = records.resolution_name(recorded.key, recorded.under)
    with Again(
        cache="sqlite:",
        backend=builder.backend_name,
        home=home.root,
        settings=builder.settings,
        on_event=builder.emit,
        plugins=builder.plugins_loaded,
        secrets=builder.secrets,
        step_seconds=builder.step_seconds,
    ) as again:
        unplaced = evolve(recorded.placement, place="nowhere")  # or the image would be fetched from where it is
        again.cache.put(evolve(recorded, generation=1, placement=unplaced).to_record(), 0)
        try:
            image = again.build(environment, lock=lock)
        except CooperyError as exc:
            exc.log = ""  # it goes with the folder; all of it was told as it happened
            raise
        found = records.resolution(again.cache.get("resolution", name)) or recorded
        return image, _of(again, image, found), _opened(again, image)


def _opened(builder: Builder, image: Image) -> Assembled:
    if image.place.startswith("oci:"):
        return in_home(builder.home, image.digest)
    return elsewhere.assembled(builder, image)


def _check_same_packages(recorded: Resolution, again: Resolution) -> None:
    locks = (recorded.lock, again.lock)
    if locks[0] is not None and locks[1] is not None and locks[0].artifacts != locks[1].artifacts:
        raise BaseError(
            f"the base is another now ({short(again.base)} for {short(recorded.base)}) and asks for other packages, so "
            "that nothing can be compared",
            remedy="coopery build --rebuild takes the base as it is now",
        )


def _above(known: Resolution, image: Assembled) -> Assembled:
    """The layers of packages alone, for a base that can no longer be had."""
    names = {artifact.name for artifact in known.lock.artifacts} if known.lock is not None else set()
    kept = [layer for layer in known.layers if names.intersection(layer.packages)]
    if not kept:
        raise BaseError(
            f"the base can no longer be had as it was ({short(known.base)}), so that nothing can be compared",
            remedy="coopery build --rebuild takes the base as it is now",
        )
    return Assembled(image.config, tuple(kept))


def _ids(image: Assembled) -> list[Digest]:
    return [layer.diff_id for layer in image.layers]


def _error(image: Image, again: Image, found: Iterator[Drift]) -> DriftError:
    first = list(islice(found, MOST))
    more = sum(1 for _ in found)
    layers = dict.fromkeys(f"layer {drift.layer}, {drift.source}" for drift in first if drift.layer)
    lines = [f"image {short(image.id)} of key {image.key[:16]} came out as {short(again.id)} when it was built again"]
    if first:
        where = f" (layer {first[0].layer}, {first[0].source})" if first[0].layer else ""
        lines += [f"first: {first[0]}{where}"]
        lines += [f"       {drift}" for drift in first[1:_SHOWN]]
        left = len(first) + more - _SHOWN
        lines += [f"       and {left} more in {len(layers)} layers"] if left > 0 else []
    return DriftError("\n".join(lines), [drift.path for drift in first])
