"""How an image gets into this engine: its layers flattened into one squashfs, and a SIF written around it.

``apptainer build`` unpacks every layer, walks the tree and compresses it anew, and stamps the result with the clock.
Here the layers' tars are streamed into ``mksquashfs`` (`coopery_singularity.squash`), which writes at its final place
in the SIF; nothing is unpacked, nobody needs to be root, and one image gives one file, byte for byte.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from coopery import digest as _digest
from coopery import sharing
from coopery.backend import Placed
from coopery.blobs import disk_error, sync_folder
from coopery.folders import scratch
from coopery.home import Home
from coopery.oci.config import platform_of
from coopery.oci.layers_view import LayersFiles
from coopery.oci.layout import Layout
from coopery_singularity import metadata, sif
from coopery_singularity.place import Note, SifPlace
from coopery_singularity.squash import squash

if TYPE_CHECKING:
    from coopery.backend import Workshop
    from coopery.digest import Digest
    from coopery.image import Assembled


def materialize(workshop: Workshop, place: SifPlace, image: Assembled, tag: str) -> Placed:
    """Put *image* into *place*; what is there already stays. The layout lists it under *tag*, so that gc knows it.

    Raises:
        IntegrityError: a layer is missing or damaged.
        BackendError: there is no mksquashfs that can, or the platform is none of the format's.
        StoreFull, CacheError: the disk refused.
    """
    manifest = Layout(Home(workshop.home).images, workshop.staging).add(image, tag).digest
    note = _present(place, image.image_id) or _make(workshop, place, image, manifest)
    path = place.path(image.image_id)
    return Placed(place.name, note.digest, note.size, str(path))


def _present(place: SifPlace, image: Digest) -> Note | None:
    try:
        return place.note(image)
    except OSError as exc:
        raise disk_error(exc) from exc


def _make(workshop: Workshop, place: SifPlace, image: Assembled, manifest: Digest) -> Note:
    with scratch(workshop.staging, "sif") as folder:
        made = folder / "image.sif"
        write(workshop, image, made)
        try:
            with made.open("rb") as file:
                digest = _digest.of_file(file)
                os.fsync(file.fileno())
            sharing.make_folders(place.folder)
            if sharing.shared(place.folder):
                sharing.open_file(made)
            found = made.stat()
            entry = metadata.entry_of(LayersFiles(image.layers, workshop.blobs), image.document)
            note = Note(
                image=image.image_id,
                digest=digest,
                size=found.st_size,
                mtime=found.st_mtime_ns,
                manifest=manifest,
                shell=entry.shell,
                sourced=entry.sourced,
                cwd=entry.cwd,
                command=entry.command,
            )
            os.replace(made, place.path(image.image_id))
            sync_folder(place.folder)
        except OSError as exc:
            raise disk_error(exc) from exc
        place.write(note)
    return note


def write(workshop: Workshop, image: Assembled, path: Path) -> None:
    """Write the SIF of *image* to *path*: the same bytes wherever squashfs-tools is the same.

    Raises:
        IntegrityError, BackendError, StoreFull, CacheError: as `materialize`.
    """
    document = image.document
    files = LayersFiles(image.layers, workshop.blobs)
    added = metadata.added(files, document, image.image_id)
    squash(image.layers, workshop.blobs, path, added=added, offset=sif.squashfs_at(image.config))
    try:
        sif.write_frame(path, image.config, platform_of(document))
        path.chmod(0o755)
    except OSError as exc:
        raise disk_error(exc) from exc
