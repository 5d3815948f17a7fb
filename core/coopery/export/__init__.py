"""What other tools build an equal image from: a Dockerfile, an Apptainer definition, a dev container.

None of these installs packages anew. Base and steps are spelt out, and each package of the lock is a tar beside, as
Coopery laid it out for the prefix: it builds with no network but for the base and the steps, on a base with no shell
and no package manager, and gives the same files. ``explicit.txt`` and ``requirements.txt`` beside it say where each
package came from, for whoever would rather install them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from coopery.engines import transfer
from coopery.errors import NotFound
from coopery.export import apptainer_definition, devcontainer, dockerfile
from coopery.export.recipe import Recipe, of, of_image
from coopery.image import Assembled
from coopery.snapshots import config as _config

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.image import Image

_WRITERS: Final[dict[str, Callable[[Builder, Recipe, Path], Path]]] = {
    "dockerfile": dockerfile.write,
    "apptainer": apptainer_definition.write,
    "devcontainer": devcontainer.write,
}


def told(builder: Builder, key: str) -> str:
    """The Dockerfile of what *key* became; layers are called by their digests.

    Raises:
        NotFound: nothing is recorded of it.
        UsageError: a value cannot stand in a Dockerfile.
    """
    known = builder.ledger.newest(key)
    if known is None:
        raise NotFound(f"nothing is recorded for key {key}", remedy="coopery build makes it")
    image = transfer.here(builder, known) or Assembled(_config.empty(known.platform), known.layers)
    return dockerfile.text_of(of(image, known), {})


def write(builder: Builder, image: Image, kind: str, path: Path) -> str:
    """Write *image* in the form *kind* to *path*; returns what to give to the tool.

    Raises:
        UsageError: *path* is taken, or the form cannot hold something of the image.
        NotFound, IntegrityError: the image's layers are not here, or damaged.
        CacheError: the disk refused; nothing half-written stays.
    """
    return str(_WRITERS[kind](builder, of_image(builder, image), path))
