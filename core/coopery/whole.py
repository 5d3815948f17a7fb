"""Files that appear whole or not at all: written in staging, then renamed. For what is small and no blob."""

from __future__ import annotations

import os
from pathlib import Path

from coopery import faults
from coopery.blobs import disk_error, sync_folder


def write_whole(
    path: Path, data: bytes, staging: Path, *, synced: bool = True, mode: int = 0o600, fault: str = ""
) -> None:
    """Replace *path* by *data* in one step.

    Args:
        path: its folder is made where it is missing.
        data: all of it.
        staging: a folder on the same file system; made where it is missing.
        synced: survive a loss of power. False for what says itself whether it is whole, and can be made again.
        mode: permission bits.
        fault: point of `coopery.faults` to pass before the rename.

    Raises:
        StoreFull, CacheError: the disk refused; *path* is as it was.
    """
    import tempfile  # costs 5 ms, which a hit does not have

    temporary = ""
    try:
        for folder in (staging, path.parent):
            folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix="whole-", dir=staging)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(handle, mode)
            if synced:
                os.fsync(handle)
        if fault:
            faults.point(fault)
        os.replace(temporary, path)
        temporary = ""
        if synced:
            sync_folder(path.parent)
    except OSError as exc:
        raise disk_error(exc) from exc
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
