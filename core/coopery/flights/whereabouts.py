"""Which of all places of one name this is: machines have folders of the same path, and engines of the same name.

A name is kept in the cache folder, made at random when that is first needed; a folder that machines share has one name.
What lies outside the folder, as an engine's store does, is this machine's too.
"""

from __future__ import annotations

import os
import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from coopery.blobs import disk_error
from coopery.home import NAME

if TYPE_CHECKING:
    from pathlib import Path

_NAME: Final = re.compile(r"[0-9a-f]{32}\n")
_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def whereabouts(home: Path, place: str, *, make: bool = False) -> str:
    """16 hexadecimal digits that tell *place*, as the user of the cache folder *home* knows it, from all others.

    Args:
        home: the cache folder.
        place: name of the place.
        make: give the folder a name where it has none yet; else the answer is empty then.

    Raises:
        CacheError: the disk refused.
    """
    path = home / NAME
    name = _read(path)
    if not name and make:
        name = _make(path, home / "staging")
    if not name:
        return ""
    inside = str(home) in place
    return sha256(f"{name}{place}{'' if inside else os.uname().nodename}".encode()).hexdigest()[:16]


def _read(path: Path) -> str:
    """What is in *path*; empty where that is no name."""
    try:
        handle = os.open(path, _OPEN)
        with os.fdopen(handle, "rb") as file:
            text = file.read(64).decode("ascii", "replace")
    except OSError:
        return ""
    return text if _NAME.fullmatch(text) else ""


def _make(path: Path, staging: Path) -> str:
    """Give it a name, once: of many who try, one does, and all get that one."""
    from coopery.whole import write_whole

    made = staging / f"name-{os.urandom(4).hex()}"
    try:
        write_whole(made, os.urandom(16).hex().encode() + b"\n", staging, mode=0o644)
        try:
            if path.is_symlink() or (path.exists() and not _read(path)):
                path.unlink()  # damaged: what it named is found again by making it again
            os.link(made, path)
        except FileExistsError:
            pass
        finally:
            made.unlink()
    except OSError as exc:
        raise disk_error(exc) from exc
    return _read(path)
