"""An image out of another cache folder that can be read from here: on a disk that machines share, or another user's.

Where it is, a record says; what is read there is believed only by its digest, as out of a registry.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from coopery.errors import BaseError, IntegrityError, NotFound
from coopery.events import Emit, StageFinished, StageStarted, Warned
from coopery.oci.fetching import fetch
from coopery.oci.layout import Layout
from coopery.oci.meter import Meter
from coopery.oci.source import FolderSource

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.image import Assembled
    from coopery.records import Placement, Resolution

_SCHEME: Final = "oci:"


def fetch_near(builder: Builder, known: Resolution, emit: Emit) -> Assembled | None:
    """The image of *known* with its layers in the builder's own blob store; None where no folder has it.

    Raises:
        CacheError: our own disk refused.
    """
    for placed in folders(builder, known):
        try:
            return _bring(builder, known, placed, emit)
        except NotFound:  # it went from there, as images may
            continue
        except (BaseError, IntegrityError) as exc:
            message = f"{placed.place} is recorded to have the image, but did not give it: {exc.message}"
            emit(Warned(key=known.key, message=message))
    return None


def folders(builder: Builder, known: Resolution) -> Iterator[Placement]:
    """Layouts other than our own that are recorded to have it, and that can be reached."""
    own = builder.home.images
    for placed in builder.ledger.placements(known):
        folder = Path(placed.place.removeprefix(_SCHEME))
        if placed.place.startswith(_SCHEME) and folder != own and _is_there(folder):
            yield placed


def _is_there(folder: Path) -> bool:
    try:
        return folder.is_absolute() and (folder / "index.json").is_file()
    except OSError:
        return False


def _bring(builder: Builder, known: Resolution, placed: Placement, emit: Emit) -> Assembled:
    folder = Path(placed.place.removeprefix(_SCHEME))
    started = time.monotonic()
    emit(StageStarted(key=known.key, stage="pull", detail=placed.place))
    image = Layout(folder, builder.home.staging).open(placed.digest, known.platform)[1]
    if image.image_id != known.image:
        raise IntegrityError(f"{placed.digest} is image {image.image_id}, recorded as {known.image}")
    meter = Meter("pull", emit)
    fetched = fetch(FolderSource(folder), image, builder.home.blobs, meter, as_stored=False)
    detail = f"{len(image.layers)} layers, {meter.done / 1e6:.1f} MB"
    emit(StageFinished(key=known.key, stage="pull", seconds=time.monotonic() - started, detail=detail))
    return fetched
