"""What is recorded of a build, and its form in a store: resolutions and placements (`coopery.cache.Record`).

A body that does not read back is treated as a miss: records are knowledge that can be made again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from attrs import asdict, frozen

from coopery.cache import Record
from coopery.digest import Digest
from coopery.layer import Layer
from coopery.lock import Lock

_UNDER: Final = "-"
"""Between a key and the name of a lock file's part. A registry may keep records as tags, which have no ``+``."""


@frozen
class Placement:
    """Where one image is. ``digest`` is what that place calls it; ``size`` counts all its bytes."""

    place: str
    digest: Digest
    size: int
    reference: str


@frozen
class Resolution:
    """What one key became, in one generation. Written once.

    Attributes:
        key: what was asked for.
        generation: 1, then one more for each rebuild.
        image: OCI config digest.
        base: digest of the base.
        snapshot: name (step key) of the snapshot that packages were put upon.
        backend: whose snapshot that is.
        platform: ``linux/amd64``.
        lock: what was resolved; None when the user manages Python.
        identity: what the key was computed from, for ``why``.
        layers: of the image, from the bottom.
        placement: where the builder put it: saves the usual hit a second look into the store.
        interpreter, prefix: paths in the image.
        name: of the definition that was built first; a label, no identity.
        notes: for people: what the packages' scripts would have done.
        log: file of the build's log.
        under: names the part of the lock file that the build was held to (`coopery.lockfile.Locked.name`); empty: none.
        locked_as: that name for a lock file of this very resolution, so that a hit under it needs no reading.
        stale: why that lock file did not answer the definition, so that packages were resolved again; empty: it did.
        base_layers: how many of the layers are the base's.
        below: how many are the base's and the steps'; those above are packages.
    """

    key: str
    generation: int
    image: Digest
    base: Digest
    snapshot: str
    backend: str
    platform: str
    lock: Lock | None
    identity: Mapping[str, Any]
    layers: tuple[Layer, ...]
    placement: Placement
    interpreter: str | None = None
    prefix: str | None = None
    name: str = ""
    notes: tuple[str, ...] = ()
    log: str = ""
    under: str = ""
    locked_as: str = ""
    stale: tuple[str, ...] = ()
    base_layers: int = 0
    below: int = 0

    def to_record(self) -> Record:
        """The form in which stores keep it."""
        body = {
            "image": self.image,
            "base": self.base,
            "snapshot": self.snapshot,
            "backend": self.backend,
            "platform": self.platform,
            "lock": self.lock.to_json() if self.lock else None,
            "identity": self.identity,
            "layers": [_layer_to_json(layer) for layer in self.layers],
            "placement": asdict(self.placement),
            "interpreter": self.interpreter,
            "prefix": self.prefix,
            "name": self.name,
            "notes": list(self.notes),
            "log": self.log,
            "locked_as": self.locked_as,
            "stale": list(self.stale),
            "base_layers": self.base_layers,
            "below": self.below,
        }
        return Record("resolution", resolution_name(self.key, self.under), self.generation, body, writer(), time.time())


def resolution(record: Record | None) -> Resolution | None:
    """The resolution in *record*; None for no record, or for one that does not read back."""
    if record is None:
        return None
    try:
        body = dict(record.body)
        lock = body.pop("lock")
        key, _, under = record.name.partition(_UNDER)
        return Resolution(
            key=key,
            under=under,
            generation=record.generation,
            lock=None if lock is None else Lock.from_json(lock),
            layers=tuple(_layer_from_json(layer) for layer in body.pop("layers")),
            placement=Placement(**body.pop("placement")),
            notes=tuple(body.pop("notes")),
            stale=tuple(body.pop("stale", ())),
            **body,
        )
    except (KeyError, TypeError, ValueError):
        return None


def resolution_name(key: str, under: str = "") -> str:
    """The name under which the resolution of *key* is stored; two lock files of one key do not meet."""
    return f"{key}{_UNDER}{under}" if under else key


def key_of(name: str) -> str:
    """The key that a resolution of that *name* is of."""
    return name.partition(_UNDER)[0]


def tag(key: str, generation: int, under: str = "") -> str:
    """The tag of an image that was given none: from its key, so that equal definitions meet; others beside it."""
    held = f"-l{under[:12]}" if under else ""
    return f"{key[:20]}{held}{f'-g{generation}' if generation > 1 else ''}"


def placement_record(image: Digest, placement: Placement, generation: int) -> Record:
    """The form in which stores keep that *image* is at *placement*."""
    name = placement_name(image, placement.place)
    return Record("placement", name, generation, asdict(placement), writer(), time.time())


def placement(record: Record | None) -> Placement | None:
    """The placement in *record*; None for no record, or for one that does not read back."""
    if record is None:
        return None
    try:
        return Placement(**record.body)
    except TypeError:
        return None


def placement_name(image: Digest, place: str) -> str:
    """The name under which a placement is stored."""
    return f"{image}@{place}"


def stand_in_record(known: Resolution, made: Resolution, where: str, generation: int) -> Record:
    """The form in which stores keep that *made* stands for the image of *known* in one place and nowhere else.

    Args:
        known: what is recorded for everybody; its image could not be had there.
        made: what was made again under its lock, upon its base.
        where: that place, told apart from all others of its name (`coopery.flights.whereabouts`).
        generation: of the record.
    """
    body = {"instead": {**made.to_record().body, "generation": known.generation}}
    return Record(
        "placement", stand_in_name(known.image, made.placement.place, where), generation, body, writer(), time.time()
    )


def stand_in(record: Record | None, known: Resolution) -> Resolution | None:
    """What stands for the image of *known*, as *record* has it; None for no record, or one that does not read back."""
    body = record.body.get("instead") if record is not None else None
    if record is None or not isinstance(body, Mapping):
        return None
    rest = dict(body)
    generation = rest.pop("generation", None)
    name = resolution_name(known.key, known.under)
    found = resolution(Record("resolution", name, known.generation, rest, record.writer, record.written))
    return found if generation == known.generation else None


def stand_in_name(image: Digest, place: str, where: str) -> str:
    """The name under which it is stored what stands for *image* at *place*, told apart by *where*."""
    return f"{placement_name(image, place)} {where}"


def writer() -> str:
    """Who writes records here: ``user@host``."""
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a uid without a name, as in many containers
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def _layer_to_json(layer: Layer) -> dict[str, Any]:
    fields = asdict(layer)
    del fields["made"]
    return fields


def _layer_from_json(fields: Mapping[str, Any]) -> Layer:
    return Layer(**{**fields, "packages": tuple(fields["packages"])})
