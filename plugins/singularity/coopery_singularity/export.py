"""Writing an image, or its prefix alone, as one file elsewhere. No engine is needed for it.

A cluster's file system likes one large file better than thousands of small ones: the prefix as a squashfs is mounted
where packages live, with nothing unpacked.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from coopery.blobs import disk_error, sync_folder
from coopery.errors import UsageError
from coopery_singularity.materialize import write
from coopery_singularity.squash import squash

if TYPE_CHECKING:
    from coopery.backend import Workshop
    from coopery.image import Assembled


def export(workshop: Workshop, form: str, image: Assembled, prefix: str, path: Path) -> None:
    """Write *image* to *path*, which appears whole and replaces what is there.

    Args:
        workshop: has the image's blobs.
        form: ``sif``, or ``squashfs`` for the content of *prefix* alone.
        image: what to write.
        prefix: where packages live in the image; empty where there is none.
        path: a file; its folder must exist.

    Raises:
        UsageError: there is no prefix to write.
        IntegrityError, BackendError, StoreFull, CacheError: as `coopery_singularity.materialize.write`.
    """
    if form == "squashfs" and not prefix:
        raise UsageError("the image has no prefix of packages to write", remedy="write it whole, as sif:FILE")
    folder: Path | None = None
    try:
        folder = Path(tempfile.mkdtemp(prefix=".coopery-", dir=path.parent))
        made = folder / "made"
        if form == "sif":
            write(workshop, image, made)
        else:
            squash(image.layers, workshop.blobs, made, below=prefix)
            made.chmod(0o644)
        with made.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(made, path)
        sync_folder(path.parent)
    except OSError as exc:
        raise disk_error(exc) from exc
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
