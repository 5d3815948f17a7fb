"""How conda's layers get into containers-storage: ``buildah pull`` from a layout that links to our blobs.

The storage knows a layer by its digest and the chain below it: what it has is not read again, one small package that
changed costs that layer and those above it. The image's id there is our config's digest, since buildah keeps manifest
and config as they are. No compression is undone or done.

A pull from a layout cannot be told which tag to give. So the image gets a name of its own first, then the one that is
meant, and the first is taken off: who removes the image by its name, removes it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from coopery.backend import Placed
from coopery.digest import hex_of
from coopery.errors import BackendError
from coopery_podman import buildah, grammar
from coopery_podman.layouts import layout_of

if TYPE_CHECKING:
    from coopery.backend import Workshop
    from coopery.image import Assembled
    from coopery_podman.buildah import Buildah

REPOSITORY: Final = "localhost/coopery"
PLACE: Final = "podman:"


def materialize(workshop: Workshop, tool: Buildah, image: Assembled, tag: str) -> Placed:
    """Put *image* into the storage as ``localhost/coopery:<tag>``.

    Raises:
        UsageError: *tag* is none; nothing was put.
        BackendError: buildah failed, or made another image of it.
    """
    reference = f"{REPOSITORY}:{grammar.name(tag)}"
    first = f"coopery-{hex_of(image.image_id)[:20]}"
    with layout_of(workshop, image, first) as offered:
        pulled = tool.call(buildah.pull(offered.reference), cwd=offered.folder).split()
    if pulled[-1:] != [hex_of(image.image_id)]:
        raise BackendError(tool.backend, f"buildah made {' '.join(pulled)!r} of the image {image.image_id}")
    tool.call(buildah.tag(hex_of(image.image_id), reference))
    with suppress(BackendError):  # whoever put the same image at this moment took it off; and a name more is no harm
        tool.call(buildah.rmi(f"localhost/{first}:latest"))
    size = len(image.config) + sum(layer.size for layer in image.layers)
    return Placed(PLACE, offered.manifest, size, reference)
