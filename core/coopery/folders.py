"""Folders that appear whole or not at all: made in staging, synced, renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coopery import sharing
from coopery.blobs import disk_error


def adopt_folder(made: Path, target: Path) -> None:
    """Rename the folder *made* to *target*; if somebody was faster, theirs stays and ours goes.

    Raises:
        StoreFull, CacheError: the disk refused.
    """
    try:
        sharing.make_folders(target.parent)
        if sharing.shared(target.parent):
            sharing.open_tree(made)
        os.rename(made, target)
    except OSError as exc:
        if not target.is_dir():
            raise disk_error(exc) from exc
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def scratch(staging: Path, purpose: str) -> Iterator[Path]:
    """A private folder in *staging* for as long as the context lasts; what was renamed out of it stays.

    Raises:
        StoreFull, CacheError: the disk refused.
    """
    try:
        sharing.make_folders(staging)
        folder = Path(tempfile.mkdtemp(prefix=f"{purpose}-", dir=staging))
    except OSError as exc:
        raise disk_error(exc) from exc
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def set_aside(folder: Path, staging: Path) -> None:
    """Take a damaged folder out of the way, at once and for all processes."""
    with scratch(staging, "damaged") as trash:
        try:
            os.rename(folder, trash / "it")
        except FileNotFoundError:
            return
        except OSError as exc:
            raise disk_error(exc) from exc
