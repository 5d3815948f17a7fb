"""Files that appear whole or not at all: written in staging, then renamed. For what is small and no blob."""

from __future__ import annotations

import os
from pathlib import Path

from coopery import faults, sharing
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
        mode: permission bits; in a group's folder the file is the group's.
        fault: point of `coopery.faults` to pass before the rename.

    Raises:
        StoreFull, CacheError: the disk refused; *path* is as it was.
    """
    import tempfile  # costs 5 ms, which a hit does not have

    temporary = ""
    try:
        for folder in (staging, path.parent):
            sharing.make_folders(folder)
        handle, temporary = tempfile.mkstemp(prefix="whole-", dir=staging)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            # Only a cache folder has staging apart: a lock file is written beside a definition, and stays its user's.
            os.fchmod(handle, mode if staging == path.parent else sharing.file_mode(staging, mode))
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


def adopt_file(made: Path, target: Path) -> None:
    """Rename the file *made*, whole and synced, to *target*, in place of what was there.

    Raises:
        StoreFull, CacheError: the disk refused.
    """
    try:
        sharing.make_folders(target.parent)
        if sharing.shared(target.parent):
            sharing.open_file(made)
        os.replace(made, target)
        sync_folder(target.parent)
    except OSError as exc:
        raise disk_error(exc) from exc
