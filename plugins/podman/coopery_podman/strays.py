"""What an engine leaves in a container's changes, and the step did not do.

Mount points are made where the image has none, and the folders around them are copied up: ``/etc`` for ``resolv.conf``,
``/run`` for secrets. Such a folder is no change of the step if nothing in it is, and it is as the image has it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Final

from coopery.snapshots import running

if TYPE_CHECKING:
    from coopery.files import Files

AROUND: Final = ("etc", "run")
"""Folders that engines mount something into."""

_MADE: Final = (0o755, 0, 0)
"""Mode and owner of a folder that an engine makes."""


def is_stray(folders: Collection[str]) -> Callable[[str], bool]:
    """The test for one relative path: whether to leave it, and what is below, out of the layer.

    Args:
        folders: those of `AROUND` that are no change.
    """
    return lambda path: path in folders or running.stray(path)


def unchanged(name: str, mode: int, owner: tuple[int, int], files: Files) -> bool:
    """Whether the folder called *name* is as the image with *files* has it, or as an engine makes it."""
    before = files.lstat(f"/{name}")
    was = _MADE if before is None else (before.mode, before.uid, before.gid)
    return (mode, *owner) == was


def around(upper: Path, files: Files) -> frozenset[str]:
    """Which folders of `AROUND` are in the upper folder *upper* and are no change of the step.

    Args:
        upper: the changes. An ordinary user is root inside.
        files: the image before the step.
    """
    return frozenset(name for name in AROUND if _is_only_around(upper / name, name, files))


def _is_only_around(folder: Path, name: str, files: Files) -> bool:
    try:
        found = os.lstat(folder)
        if not stat.S_ISDIR(found.st_mode) or not all(running.stray(f"{name}/{entry}") for entry in os.listdir(folder)):
            return False
    except OSError:
        return False
    owner = (_inside(found.st_uid, os.geteuid()), _inside(found.st_gid, os.getegid()))
    return unchanged(name, stat.S_IMODE(found.st_mode), owner, files)


def _inside(number: int, own: int) -> int:
    return 0 if number == own else number
