"""Sight of an image's files in containers-storage, with nothing mounted and no program started.

An overlay image is a stack of folders, the upper hiding what it replaces or removes: whiteouts are devices 0:0 (the
kernel's form) or files ``.wh.<name>`` (OCI's, which fuse-overlayfs writes). A vfs image is one folder.
Source: the kernel's Documentation/filesystems/overlayfs.rst; OCI image spec v1.1, layer.md, "Whiteouts".
"""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from coopery.files import Stat
from coopery_podman.storage import LookError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from coopery_podman.storage import Located

_WHITEOUT: Final = ".wh."
_OPAQUE: Final = ("trusted.overlay.opaque", "user.overlay.opaque", "user.fuseoverlayfs.opaque")
_LIMIT: Final = 1 << 22


class ImageFiles:
    """`coopery.files.Files` over *folders*, the uppermost first. What cannot be read by this user is not there."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)

    def lstat(self, path: str) -> Stat | None:
        """What is at *path*; None when nothing is."""
        for folder in self._folders:
            found, hides = _in(folder, _parts(path))
            if found is not None:
                return _stat(found, folder.joinpath(*_parts(path)))
            if hides:
                return None
        return None

    def listdir(self, path: str) -> tuple[str, ...]:
        """Names in the folder at *path*, sorted; empty when it is no folder."""
        there, gone = set[str](), set[str]()
        for folder in self._folders:
            found, hides = _in(folder, _parts(path))
            if found is not None and stat.S_ISDIR(found.st_mode):
                names, removed = _names(folder.joinpath(*_parts(path)))
                there |= names - gone
                gone |= removed
            if hides:
                break
        return tuple(sorted(there))

    def read(self, path: str, limit: int) -> bytes:
        """The first *limit* bytes of the regular file at *path*.

        Raises:
            FileNotFoundError: no regular file is there.
        """
        for folder in self._folders:
            found, hides = _in(folder, _parts(path))
            if found is not None and stat.S_ISREG(found.st_mode):
                with folder.joinpath(*_parts(path)).open("rb") as file:
                    return file.read(limit)
            if hides:
                break
        raise FileNotFoundError(f"{path}: no regular file in the image")


def files_of(located: Located, record: dict[str, Any]) -> ImageFiles:
    """The files of the image that *record* (`Located.images`) tells of.

    Raises:
        LookError: a layer of it is not whole, or its driver keeps no folders that we understand.
    """
    chain = located.chain(str(record.get("layer") or ""))
    if chain is None:
        raise LookError(f"image {record.get('id')} is not whole")
    if located.driver == "overlay":
        return ImageFiles([located.graph_root / "overlay" / layer / "diff" for layer in chain])
    if located.driver == "vfs":
        return ImageFiles([located.graph_root / "vfs" / "dir" / layer for layer in chain[:1]])
    raise LookError(f"the storage driver is {located.driver}")


def config_of(located: Located, image_id: str) -> dict[str, Any]:
    """The config of the image *image_id*, as the storage keeps it.

    Raises:
        LookError: it is not where we expect it.
    """
    # A record's file is called after its name, in base64 where that is no plain word.
    name = base64.b64encode(f"sha256:{image_id}".encode()).decode()
    path = located.graph_root / f"{located.driver}-images" / image_id / f"={name}"
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(_LIMIT))
    except (OSError, ValueError, RecursionError) as exc:
        raise LookError(f"{path}: {exc}") from exc
    if not isinstance(document, dict):
        raise LookError(f"{path}: no image config")
    return document


def _in(folder: Path, parts: Sequence[str]) -> tuple[os.stat_result | None, bool]:
    """What one layer has at the path of *parts*, and whether it hides what lower ones have there.

    No link is followed: below a folder of the image, a lower layer may have had a link to anywhere.
    """
    at, hides = folder, False
    found: os.stat_result | None = None
    try:
        found = os.lstat(at)
        for part in parts:
            if not stat.S_ISDIR(found.st_mode):
                return None, True
            hides = hides or _is_opaque(at)
            if os.path.lexists(at / f"{_WHITEOUT}{part}"):
                return None, True
            at = at / part
            found = os.lstat(at)
            if _is_whiteout(found):
                return None, True
    except OSError:
        return None, hides
    return found, hides or not stat.S_ISDIR(found.st_mode) or _is_opaque(at)


def _names(folder: Path) -> tuple[set[str], set[str]]:
    """Names that one layer has in *folder*, and those that it removes."""
    there, gone = set[str](), set[str]()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(_WHITEOUT):
                    gone.add(entry.name.removeprefix(_WHITEOUT))
                elif _is_whiteout(entry.stat(follow_symlinks=False)):
                    gone.add(entry.name)
                else:
                    there.add(entry.name)
    except OSError:
        return set(), set()
    return there, gone


def _is_whiteout(found: os.stat_result) -> bool:
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def _is_opaque(folder: Path) -> bool:
    if os.path.lexists(folder / f"{_WHITEOUT}{_WHITEOUT}.opq"):
        return True
    try:
        names = os.listxattr(folder, follow_symlinks=False)
        return any(os.getxattr(folder, name, follow_symlinks=False) == b"y" for name in names if name in _OPAQUE)
    except OSError:  # a file system that has none
        return False


def _stat(found: os.stat_result, path: Path) -> Stat:
    mode = found.st_mode
    kind: Literal["file", "directory", "symlink", "other"] = "other"
    if stat.S_ISREG(mode):
        kind = "file"
    elif stat.S_ISDIR(mode):
        kind = "directory"
    elif stat.S_ISLNK(mode):
        kind = "symlink"
    target = os.readlink(path) if kind == "symlink" else ""
    return Stat(kind, stat.S_IMODE(mode), found.st_uid, found.st_gid, found.st_size, target)


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part)
