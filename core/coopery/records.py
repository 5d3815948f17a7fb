"""What is recorded of a build, and its form in a store: resolutions and placements (`coopery.cache.Record`).

A body that does not read back is treated as a miss: records are knowledge that can be made again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from attrs import asdict, frozen

from coopery.cache import Record
from coopery.digest import Digest
from coopery.layer import Layer
from coopery.lock import Lock


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
        }
        return Record("resolution", self.key, self.generation, body, writer(), time.time())


def resolution(record: Record | None) -> Resolution | None:
    """The resolution in *record*; None for no record, or for one that does not read back."""
    if record is None:
        return None
    try:
        body = dict(record.body)
        lock = body.pop("lock")
        return Resolution(
            key=record.name,
            generation=record.generation,
            lock=None if lock is None else Lock.from_json(lock),
            layers=tuple(_layer_from_json(layer) for layer in body.pop("layers")),
            placement=Placement(**body.pop("placement")),
            notes=tuple(body.pop("notes")),
            **body,
        )
    except (KeyError, TypeError, ValueError):
        return None


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
