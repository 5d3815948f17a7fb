"""A SIF's file system as a base of one layer, with the config that the image was made from.

Owners, modes, times, hard links and extended attributes stay. What Apptainer put in for itself (``/.singularity.d``
and the links to it) is left out: it belongs to that image, not to one that stands on it. So are sockets and devices,
which no layer of ours has.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, cast

from coopery.blobs import BlobStore
from coopery.errors import BaseError, IntegrityError
from coopery.image import Assembled, encode
from coopery.layer import Layer
from coopery.oci.config import make_config
from coopery.oci.limits import DEFAULT, Limits
from coopery.oci.source import open_regular
from coopery.oci.tree import WHITEOUT
from coopery.sif.frame import read_frame
from coopery.sif.squashfs import Inode, Squashfs

_CREATED_BY: Final = "coopery: SIF"
_OWN: Final = b".singularity.d"
_KEPT: Final = ("security.capability", "user.")
_TEXTS: Final = ("User", "WorkingDir", "StopSignal")
_LISTS: Final = ("Env", "Entrypoint", "Cmd")


def read_sif(path: Path, platform: str, blobs: BlobStore, *, limits: Limits = DEFAULT) -> Assembled:
    """Bring the file system of the SIF at *path* into *blobs*.

    Args:
        path: the file.
        platform: what the image is said to be for where the SIF does not say.
        blobs: takes the layer.
        limits: above which it counts as an attack.

    Raises:
        BaseError: absent, no SIF, or with a file system that cannot be read here; says why.
        IntegrityError: damaged, hostile, or beyond *limits*.
        StoreFull, CacheError: our disk refused.
    """
    where = str(path)
    with open_regular(path) as raw:
        file = cast(IO[bytes], raw)
        frame = read_frame(file, where)
        system = Squashfs(file, frame.offset, frame.size, where, limits)
        with blobs.create() as writer:
            _write(system, cast(IO[bytes], writer), _Budget(limits, frame.size, where))
    assert writer.digest is not None  # noqa: S101 - set when the context ended
    layer = Layer(writer.digest, writer.digest, writer.size, created_by=_CREATED_BY)
    document = json.loads(make_config(frame.platform or platform, [layer.diff_id], _CREATED_BY))
    return Assembled(encode({**document, "config": _settings(frame.config, where)}), (layer,))


class _Budget:
    """How many bytes may still come out."""

    def __init__(self, limits: Limits, stored: int, where: str) -> None:
        self._left = min(limits.size, max(limits.floor, limits.ratio * stored))
        self._where = where

    def spend(self, size: int) -> None:
        """*size* bytes more.

        Raises:
            IntegrityError: they are too many.
        """
        self._left -= size
        if self._left < 0:
            raise IntegrityError(f"{self._where}: it holds more than its size can explain")


def _write(system: Squashfs, sink: IO[bytes], budget: _Budget) -> None:
    first: dict[int, str] = {}
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 20) as tar:
        for path, inode in _kept(system):
            member = _member(system, path, inode)
            if inode.kind == "file":
                earlier = first.setdefault(inode.number, member.name)
                if earlier != member.name:
                    member.type, member.linkname, member.pax_headers = tarfile.LNKTYPE, earlier, {}
                    tar.addfile(member)
                    continue
                budget.spend(inode.size)
                member.size = inode.size
                tar.addfile(member, _Content(system.content(inode)))
            else:
                tar.addfile(member)


def _kept(system: Squashfs) -> Iterator[tuple[bytes, Inode]]:
    for path, inode in system.walk():
        if not path or inode.kind in ("device", "socket"):
            continue
        if path == _OWN or path.startswith(_OWN + b"/"):
            continue
        if inode.kind == "symlink" and b"/" not in path and inode.target.lstrip(b"/").startswith(_OWN + b"/"):
            continue
        yield path, inode


def _member(system: Squashfs, path: bytes, inode: Inode) -> tarfile.TarInfo:
    name = path.decode("utf-8", "surrogateescape")
    if name.rpartition("/")[2].startswith(WHITEOUT):
        raise IntegrityError(f"{name!r} means a deletion in a layer and has no place in a base")
    member = tarfile.TarInfo(name)
    member.mode, member.uid, member.gid, member.mtime = inode.mode, inode.uid, inode.gid, inode.mtime
    member.pax_headers = {
        f"SCHILY.xattr.{key}": value.decode("utf-8", "surrogateescape")
        for key, value in sorted(system.xattrs(inode))
        if key.startswith(_KEPT)
    }
    if inode.kind == "directory":
        member.type = tarfile.DIRTYPE
    elif inode.kind == "symlink":
        member.type, member.linkname = tarfile.SYMTYPE, inode.target.decode("utf-8", "surrogateescape")
    elif inode.kind == "fifo":
        member.type = tarfile.FIFOTYPE
    return member


class _Content(io.RawIOBase):
    """Pieces as a file, which is what tarfile copies from."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int = -1, /) -> bytes:
        """*size* bytes, or what is left."""
        while len(self._rest) < size and (piece := next(self._pieces, b"")):
            self._rest += piece
        found, self._rest = self._rest[:size], self._rest[size:]
        return found


def _settings(config: bytes, where: str) -> dict[str, Any]:
    """The ``config`` section: of a whole image config, as in our SIFs, or alone, as in Apptainer's.

    Raises:
        BaseError: it is no JSON, or no config.
    """
    if not config:
        return {}
    try:
        document = json.loads(config)
        section = document.get("config") or {} if "rootfs" in document else document
        found = {name: section[name] for name in (*_TEXTS, *_LISTS, "Labels") if section.get(name)}
    except (ValueError, RecursionError, AttributeError, TypeError) as exc:
        raise BaseError(f"{where}: its oci-config.json is no image config: {exc}") from exc
    labels = found.get("Labels", {})
    texts = [found[name] for name in _TEXTS if name in found]
    for name in _LISTS:
        texts += found.get(name, []) if isinstance(found.get(name, []), list) else [None]
    texts += list(labels.values()) if isinstance(labels, dict) else [None]
    if not all(isinstance(text, str) for text in texts):
        raise BaseError(f"{where}: its oci-config.json is no image config")
    return found
