"""A folder for one process, with what an overlay mount needs; see `coopery_unshare.sandbox`.

image/  what it starts from       points/  mount points      upper/, work/  the overlay's own      root/  the mount
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from coopery.blobs import disk_error

if TYPE_CHECKING:
    from coopery.backend import Workshop


@contextmanager
def scratch(workshop: Workshop) -> Iterator[Path]:
    """A private folder below staging, gone at the end; ``image`` in it is still to be made.

    Raises:
        CacheError: the disk refused.
    """
    try:
        workshop.staging.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="unshare-", dir=workshop.staging))
    except OSError as exc:
        raise disk_error(exc) from exc
    try:
        for name in ("points", "upper", "work", "root"):
            (folder / name).mkdir()
            (folder / name).chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
