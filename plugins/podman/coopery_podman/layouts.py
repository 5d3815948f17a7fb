"""An image of ours as an OCI layout that buildah can read, made of two small files and one link.

The layout's ``blobs`` is a link to the cache folder's own. Nothing is copied, and it is as thin as it can be: buildah
asks its storage for each layer by digest before it reads any, so that layers which are there are not even opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from coopery.blobs import disk_error
from coopery.folders import scratch
from coopery.oci.config import platform_of
from coopery.oci.manifest import make_entry, make_index, make_manifest
from coopery.oci.marker import MARKER
from coopery_podman.buildah import oci

if TYPE_CHECKING:
    from coopery.backend import Workshop
    from coopery.digest import Digest
    from coopery.image import Assembled


@frozen
class Offered:
    """A layout, as buildah is to be told of it.

    Attributes:
        folder: where buildah must be started.
        reference: ``oci:`` and a path from there, with a tag.
        manifest: digest of the image's manifest.
    """

    folder: Path
    reference: str
    manifest: Digest


def tag_of(name: str) -> str:
    """The tag that the image has in the layout called *name*."""
    return name.replace("/", "-")


@contextmanager
def layout_of(workshop: Workshop, image: Assembled, name: str) -> Iterator[Offered]:
    """A layout with *image*, there as long as the context lasts.

    What buildah calls an image that comes out of a layout depends on its version: up to 1.28 it is called after the
    path as it was given, later after the tag. With a relative path and the same words as tag it is ours in both.

    Args:
        workshop: has all blobs of *image*.
        image: what to offer.
        name: what it is called in the storage: ``localhost/<name>``.

    Raises:
        StoreFull, CacheError: the disk refused.
    """
    manifest = make_manifest(image)
    workshop.blobs.put(image.config)
    workshop.blobs.put(manifest)
    entry = make_entry(manifest, platform_of(image.document), tag_of(name))
    blobs = workshop.blobs.path(entry.digest).parent.parent
    with scratch(workshop.staging, "podman") as folder:
        try:
            layout = folder / name
            layout.mkdir(parents=True)
            (layout / "blobs").symlink_to(blobs.absolute(), target_is_directory=True)
            (layout / "oci-layout").write_bytes(MARKER)
            (layout / "index.json").write_bytes(make_index([entry.to_json()]))
        except OSError as exc:
            raise disk_error(exc) from exc
        yield Offered(folder, oci(name, tag_of(name)), entry.digest)
