"""A private folder for one run: what the program writes to its image goes here, and away with it.

Not in staging, whose old contents may be swept while a run of many days still uses it. A run holds a lock on its
folder; whatever is found without one was left by a crash and is removed by the next run.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from coopery.blobs import disk_error
from coopery_oci.rootfs import remove_tree


@contextlib.contextmanager
def scratch(home: Path) -> Iterator[Path]:
    """A new folder below ``running/``, gone at the end.

    Raises:
        CacheError: the disk refused.
    """
    running = home / "running"
    try:
        running.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(running)
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=running))
        lock = _locked(folder)
    except OSError as exc:
        raise disk_error(exc) from exc
    try:
        yield folder
    finally:
        remove_tree(folder)
        if lock is not None:
            os.close(lock)


def _sweep(running: Path) -> None:
    for folder in running.iterdir():
        lock = _locked(folder)
        if lock is not None:
            remove_tree(folder)
            os.close(lock)


def _locked(folder: Path) -> int | None:
    """A descriptor that holds the lock on *folder*; None when somebody else does, or it is gone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
