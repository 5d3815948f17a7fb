"""What a step runs upon: squashfs files that are mounted one over the other, as few and as small as can be.

The first step on a base has the base made into one squashfs; after that each layer that a step adds is one of its own,
so that no step pays for what it did not change. Kept below the cache folder, by digests of layers.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from coopery import digest as _digest
from coopery import sharing, use
from coopery.blobs import disk_error
from coopery.folders import scratch
from coopery_singularity.metadata import MOUNT_POINTS
from coopery_singularity.squash import squash, squash_layer

if TYPE_CHECKING:
    from coopery.backend import Workshop
    from coopery.layer import Layer

FOLDER: Final = "squashfs"
_MOST: Final = 12
"""Layers that are mounted by themselves; each is a process while the step runs. Beyond it all become one anew."""


def lowers(workshop: Workshop, layers: Sequence[Layer]) -> tuple[Path, ...]:
    """Squashfs files that together are the file system of *layers*, from the bottom up; made where they are missing.

    Raises:
        IntegrityError: a layer is missing or damaged.
        BackendError, StoreFull, CacheError: one cannot be made.
    """
    known = _longest(workshop, layers)
    if known is None or len(layers) - known > _MOST:
        known = len(layers)
    whole = _kept(
        workshop,
        _chain(layers[:known]),
        lambda path: squash(layers[:known], workshop.blobs, path, added=MOUNT_POINTS),
    )
    return (whole, *(_layer(workshop, layer) for layer in layers[known:]))


def _longest(workshop: Workshop, layers: Sequence[Layer]) -> int | None:
    """Of how many of the lowest layers a squashfs is kept."""
    counts = range(len(layers), -1, -1)
    return next((count for count in counts if _path(workshop, _chain(layers[:count])).exists()), None)


def _layer(workshop: Workshop, layer: Layer) -> Path:
    name = f"{_digest.hex_of(layer.diff_id)}.layer"
    return _kept(workshop, name, lambda path: squash_layer(layer, workshop.blobs, path))


def _chain(layers: Sequence[Layer]) -> str:
    return f"{hashlib.sha256(' '.join(layer.diff_id for layer in layers).encode()).hexdigest()}.sqfs"


def _path(workshop: Workshop, name: str) -> Path:
    return workshop.home / FOLDER / name


def _kept(workshop: Workshop, name: str, make: Callable[[Path], None]) -> Path:
    path = _path(workshop, name)
    if use.mark(path, workshop.staging):
        return path
    with scratch(workshop.staging, "squashfs") as folder:
        made = folder / name
        make(made)
        try:
            sharing.make_folders(path.parent)
            if sharing.shared(path.parent):
                sharing.open_file(made)
            os.replace(made, path)
        except OSError as exc:
            raise disk_error(exc) from exc
    return path
