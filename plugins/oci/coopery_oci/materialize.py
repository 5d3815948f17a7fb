"""How conda's layers get into this backend's place: they are there already.

The cache folder's ``blobs`` are the layout's blobs, so an image is put there by writing its config, its manifest and
one entry of the index. Nothing is copied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from coopery.backend import Placed

if TYPE_CHECKING:
    from coopery.image import Assembled
    from coopery.oci.layout import Layout


def materialize(layout: Layout, root: str, image: Assembled, tag: str) -> Placed:
    """Put *image* into *layout* (at *root*, in words) under *tag*."""
    manifest = layout.add(image, tag)
    size = manifest.size + len(image.config) + sum(layer.size for layer in image.layers)
    return Placed(f"oci:{root}", manifest.digest, size, f"oci:{root}:{tag}")
