"""Snapshots on disk: config and layer list under a step's key, each file with its own checksum.

``snapshots/<step key>.json``; the bytes themselves are blobs. A file that is damaged, or whose blobs are not all
there, is no snapshot: the step is run again.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import asdict, fields

from coopery import digest as _digest
from coopery.backend import Snapshot
from coopery.digest import Digest
from coopery.errors import IntegrityError
from coopery.image import encode
from coopery.layer import Layer
from coopery.whole import write_whole

if TYPE_CHECKING:
    from coopery.backend import Workshop

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LAYER_FIELDS: Final = tuple(attribute.name for attribute in fields(Layer) if attribute.name != "made")


def save(workshop: Workshop, snapshot: Snapshot, name: str) -> None:
    """Keep *snapshot* under *name*; what was there is replaced.

    Raises:
        CacheError: the disk refused; nothing half-written stays.
    """
    workshop.blobs.put(snapshot.config)
    layers = [{field: asdict(layer)[field] for field in _LAYER_FIELDS} for layer in snapshot.layers]
    body = {"id": snapshot.id, "digest": snapshot.digest, "config": snapshot.config.decode(), "layers": layers}
    record = encode({"body": body, "checksum": _digest.of_bytes(encode(body))})
    write_whole(_path(workshop, name), record, workshop.staging)


def load(workshop: Workshop, name: str, backend: str) -> Snapshot | None:
    """The snapshot kept under *name*, if it is whole and all its blobs are here."""
    try:
        document = json.loads(_path(workshop, name).read_bytes())
        body = document["body"]
        if document["checksum"] != _digest.of_bytes(encode(body)):
            return None
    except (OSError, ValueError, LookupError, TypeError, RecursionError):  # absent or damaged: a miss, nothing worse
        return None
    layers = tuple(_layer(entry) for entry in body["layers"])
    if any(workshop.blobs.size(layer.digest) != layer.size for layer in layers):
        return None
    return Snapshot(backend, body["id"], Digest(body["digest"]), body["config"].encode(), layers)


def _layer(entry: dict[str, Any]) -> Layer:
    return Layer(**{**entry, "packages": tuple(entry["packages"])})


def _path(workshop: Workshop, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise IntegrityError(f"{name!r} is no name for a snapshot: expected a step key")
    return workshop.home / "snapshots" / f"{name}.json"
