"""Build secrets as files, for as long as an engine needs them: in a private folder, in memory where there is one."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from coopery.errors import CacheError, UsageError

if TYPE_CHECKING:
    from coopery.backend import Workshop

_PREFIX: Final = "coopery-step-"
_YOUNG: Final = 60.0
"""Seconds: a folder this new may not be locked yet."""


def given(workshop: Workshop, names: Sequence[str], place: str, noun: str = "") -> dict[str, bytes]:
    """The values of the secrets called *names*.

    Args:
        workshop: holds those that were given.
        names: their ids.
        place: field path of what names them.
        noun: what stands before the names in a message.

    Raises:
        UsageError: one was not given; all such are named.
    """
    missing = [name for name in names if name not in workshop.secrets]
    if missing:
        raise UsageError(
            f"{place}: no value was given for {noun}{', '.join(missing)}",
            remedy=f"coopery build --secret id={missing[0]},env=VARIABLE (or src=FILE); Builder(secrets={{…}})",
        )
    return {name: workshop.secrets[name] for name in names}


@contextmanager
def of_dockerfile(workshop: Workshop, names: Sequence[str], place: str) -> Iterator[Mapping[str, Path]]:
    """Files with the secrets that a Dockerfile may read, for as long as it is built; nobody else reads them.

    Raises:
        UsageError: one was not given.
        CacheError: the disk refused.
    """
    values = given(workshop, names, place, "the secret ")
    with private_folder(workshop) as folder:
        paths = {name: folder / str(number) for number, name in enumerate(values)}
        for name, path in paths.items():
            path.touch(mode=0o600)
            path.write_bytes(values[name])
        yield paths


@contextmanager
def private_folder(workshop: Workshop) -> Iterator[Path]:
    """A private folder, locked for as long as it is used; what processes that were killed have left is removed.

    Raises:
        CacheError: the disk refused.
    """
    parent = _memory() or workshop.staging
    _sweep(parent)
    try:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as exc:
        raise CacheError(f"no folder for what a step needs can be made: {exc}") from exc
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _sweep(parent: Path) -> None:
    """Remove folders of ours that nobody holds; a lock ends with its process, however that ends."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            found = folder.lstat()
            if found.st_uid != os.geteuid() or time.time() - found.st_mtime < _YOUNG:
                continue
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(handle)


def _memory() -> Path | None:
    """A folder that never reaches a disk, where this machine has one."""
    found = Path(os.environ.get("XDG_RUNTIME_DIR") or "/dev/shm")  # noqa: S108 - mkdtemp makes a private folder in it
    return found if found.is_dir() and os.access(found, os.W_OK) else None
