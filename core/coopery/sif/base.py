"""A SIF's file system as a base of one layer, with the config that the image was made from.

Variables that its own scripts set come to those of the config, as far as that can be read (`coopery.sif.environment`).
Owners, modes, times, hard links and extended attributes stay. What Apptainer put in for itself (``/.singularity.d``
and the links to it) is left out: it belongs to that image, not to one that stands on it. So are sockets and devices,
which no layer of ours has.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator
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
from coopery.sif import environment
from coopery.sif.frame import read_frame
from coopery.sif.squashfs import Inode, Squashfs

_CREATED_BY: Final = "coopery: SIF"
_OWN: Final = b".singularity.d"
_SCRIPTS: Final = b".singularity.d/env"
_SAY_NOTHING: Final = frozenset(name.encode() for name in environment.OWN)
_MOST_SCRIPTS: Final = 1 << 20
_MOST_NOTES: Final = 5
_NOT_READ: Final = "what its scripts in /.singularity.d/env set here is not in the image, so state it with an env step"
_KEPT: Final = ("security.capability", "user.")
_TEXTS: Final = ("User", "WorkingDir", "StopSignal")
_LISTS: Final = ("Env", "Entrypoint", "Cmd")


def read_sif(
    path: Path,
    platform: str,
    blobs: BlobStore,
    *,
    limits: Limits = DEFAULT,
    warn: Callable[[str], None] = lambda _words: None,
) -> Assembled:
    """Bring the file system of the SIF at *path* into *blobs*.

    Args:
        path: the file.
        platform: what the image is said to be for where the SIF does not say.
        blobs: takes the layer.
        limits: above which it counts as an attack.
        warn: told, at most once, what the image's own scripts do that is not read (`coopery.sif.environment`).

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
        scripts: dict[bytes, Inode] = {}
        with blobs.create() as writer:
            _write(_kept(system, scripts), system, cast(IO[bytes], writer), _Budget(limits, frame.size, where))
        contents = _contents(system, scripts, where)
    assert writer.digest is not None  # noqa: S101 - set when the context ended
    layer = Layer(writer.digest, writer.digest, writer.size, created_by=_CREATED_BY)
    document = json.loads(make_config(frame.platform or platform, [layer.diff_id], _CREATED_BY))
    settings = _settings(frame.config, where)
    if contents:
        variables, notes = environment.read(settings.get("Env", ()), contents)
        settings |= {"Env": variables} if variables else {}
        if notes:
            warn(f"{where}: {_NOT_READ}: {'; '.join(notes[:_MOST_NOTES])}{'; …' if len(notes) > _MOST_NOTES else ''}")
    return Assembled(encode({**document, "config": settings}), (layer,))


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


def _write(kept: Iterable[tuple[bytes, Inode]], system: Squashfs, sink: IO[bytes], budget: _Budget) -> None:
    first: dict[int, str] = {}
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 20) as tar:
        for path, inode in kept:
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


def _contents(system: Squashfs, scripts: dict[bytes, Inode], where: str) -> list[tuple[str, bytes]]:
    """*scripts* in the order in which a shell reads them.

    Raises:
        IntegrityError: they are too large.
    """
    if sum(inode.size for inode in scripts.values()) > _MOST_SCRIPTS:
        raise IntegrityError(f"{where}: /.singularity.d/env holds more than {_MOST_SCRIPTS} bytes")
    return [(path.decode("utf-8", "replace"), b"".join(system.content(scripts[path]))) for path in sorted(scripts)]


def _kept(system: Squashfs, scripts: dict[bytes, Inode]) -> Iterator[tuple[bytes, Inode]]:
    """What becomes the layer; *scripts* is filled with those that set variables."""
    for path, inode in system.walk():
        if not path or inode.kind in ("device", "socket"):
            continue
        folder, _, name = path.rpartition(b"/")
        if folder == _SCRIPTS and inode.kind == "file" and name.endswith(b".sh") and name not in _SAY_NOTHING:
            scripts[name] = inode
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
