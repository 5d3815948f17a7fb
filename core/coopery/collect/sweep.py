"""Taking things away, so that a crash at any moment leaves a sound cache folder and nobody misses anything.

Out of the index first, then out of its place by a rename under the gate, then deleted. What was marked as used since
it was chosen stays. Nothing is followed, and nothing outside the cache folder is touched.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from coopery import faults, use
from coopery.collect.census import Item
from coopery.collect.images import ImageHere
from coopery.home import Home

_BATCH: Final = 64
"""Renames under one closing of the gate: a millisecond, which is all that a build ever waits for a collection."""

PREFIX: Final = "gc-"


@contextmanager
def bin_in(staging: Path) -> Iterator[Path]:
    """A folder for what is taken away, deleted at the end; what killed collections left goes with it."""
    import tempfile

    for left in staging.glob(f"{PREFIX}*"):
        delete(left)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=staging))
    try:
        yield folder
    finally:
        delete(folder)


def unlist(home: Home, images: Iterable[ImageHere], safe: int) -> list[ImageHere]:
    """Take *images* out of the layout's index, but for those that were used at *safe* or later; returns the others.

    Raises:
        IntegrityError: the index is damaged. Nothing was changed.
        StoreFull, CacheError: the disk refused; the index is as it was.
    """
    from coopery.oci.index_file import IndexFile

    with use.alone(home.staging):
        gone = [image for image in images if _time(str(home.blobs.path(image.manifest))) < safe]
        digests = {image.manifest for image in gone}
        with IndexFile(home.images / "index.json", home.staging).changed() as entries:
            entries[:] = [entry for entry in entries if entry.get("digest") not in digests]
    return gone


def take(things: Iterable[Item], bin_: Path, home: Home, safe: int) -> list[Item]:
    """Take *things* out of their places; returns those that went.

    Entries of shelves are used by path, for as long as a build lasts: while anybody builds they stay, unless whoever
    uses one holds a lock on it.
    """
    gone = []
    for batch in _batches(things):
        with use.alone(home.staging):
            idle = use.since(home.root) is None
            gone += [item for item in batch if _may_go(item, idle=idle) and _take(item, bin_, safe)]
        faults.point("gc-empty")
        for name in os.listdir(bin_):
            delete(bin_ / name)
    return gone


def _batches(things: Iterable[Item]) -> Iterator[tuple[Item, ...]]:
    todo = list(things)
    for start in range(0, len(todo), _BATCH):
        yield tuple(todo[start : start + _BATCH])


def _may_go(item: Item, *, idle: bool) -> bool:
    shelf = item.shelf
    return idle or shelf is None or shelf.locked or shelf.passing or shelf.needed_by in ("layer", "blobs")


def _take(item: Item, bin_: Path, safe: int) -> bool:
    """Rename *item* away, unless it was marked, or somebody holds it."""
    handle = -1
    if item.shelf is not None and (item.shelf.locked or item.shelf.passing) and os.path.isdir(item.paths[0]):
        handle = _lock(item.paths[0])
        if handle < 0:
            return False
    try:
        if _time(item.paths[0]) >= safe:
            return False
        for number, path in enumerate(item.paths):
            faults.point("gc-delete")
            os.rename(path, bin_ / f"{os.path.basename(bin_)}-{number}-{os.path.basename(path)}")
    except FileNotFoundError:  # gone already
        return False
    except PermissionError:
        if os.lstat(item.paths[0]).st_uid == os.geteuid():
            raise
        return False  # another member's, who has closed it: it is his to take away
    finally:
        if handle >= 0:
            os.close(handle)
    return True


def _lock(folder: str) -> int:
    """The folder, open and locked; -1 when somebody else holds it, or it is gone."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return -1
    if use.held(handle):
        os.close(handle)
        return -1
    return handle


def _time(path: str) -> int:
    """When *path* was made or marked; 0 when it is not there."""
    try:
        return os.lstat(path).st_mtime_ns
    except FileNotFoundError:
        return 0


def delete(path: Path) -> None:
    """Delete a file, or a folder with everything below it, closed folders included. No symlink is followed."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for parent, folders, _ in os.walk(path):
        for name in folders:
            inner = os.path.join(parent, name)
            if not os.path.islink(inner):
                with suppress(PermissionError):  # another member's
                    os.chmod(inner, 0o700)
    shutil.rmtree(path, ignore_errors=True)
