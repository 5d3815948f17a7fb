"""What a container changed, by the daemon's own account: for daemons whose folders we cannot read.

Those on other machines, in containerd's store, rootless ones. The list of changed paths picks members out of the
container's export; it costs what the image weighs, not what changed.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from coopery.layer import Layer
from coopery.snapshots.running import stray

if TYPE_CHECKING:
    from coopery.backend import Workshop
    from coopery_docker.client import Daemon

_DELETED: Final = 2
_OPAQUE: Final = ".wh..wh..opq"


def take(workshop: Workshop, daemon: Daemon, name: str) -> Layer:
    """The change set of container *name*, which has ended, as a layer in the blob store.

    Raises:
        StoreFull, CacheError: the disk refused.
        BackendError: the daemon failed.
    """
    deleted, written = _changed(daemon, name)
    with workshop.blobs.create() as writer:
        stream: Any = writer  # tarfile asks for a whole file object; in this mode it only writes
        with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 20) as out:
            _copy(daemon, name, written, deleted, out)
    assert writer.digest is not None  # noqa: S101 - set when the context ended
    return Layer(writer.digest, writer.digest, writer.size, made=True)


def _changed(daemon: Daemon, name: str) -> tuple[set[str], set[str]]:
    """Paths, relative: deleted ones, and those that were added or changed."""
    deleted: set[str] = set()
    written: set[str] = set()
    for change in daemon.changes(name):
        path = str(change["Path"]).lstrip("/")
        if not any(map(stray, _family(path))):
            (deleted if change["Kind"] == _DELETED else written).add(path)
    return deleted, written


def _copy(daemon: Daemon, name: str, written: set[str], deleted: set[str], out: tarfile.TarFile) -> None:
    """A path that was deleted and is there was made anew: where it is a folder, what was in it before is hidden."""
    there: set[str] = set()
    for member, content in _members(daemon, name):
        path = member.name.strip("/")
        if path in deleted:
            there.add(path)
        if path not in written and path not in deleted:
            continue
        member.name, member.mtime = path, int(member.mtime)
        member.pax_headers = {
            key: value for key, value in member.pax_headers.items() if key.startswith("SCHILY.xattr.")
        }
        member.uname = member.gname = ""
        out.addfile(member, content)
        if member.isdir() and path in deleted:
            out.addfile(tarfile.TarInfo(f"{path}/{_OPAQUE}"))
    for path in sorted(deleted - there):
        folder, _, last = path.rpartition("/")
        out.addfile(tarfile.TarInfo(f"{folder}/.wh.{last}".lstrip("/")))


def _members(daemon: Daemon, name: str) -> Iterator[tuple[tarfile.TarInfo, Any]]:
    source: Any = io.BufferedReader(_Reader(daemon.export(name)), 1 << 20)
    with tarfile.open(fileobj=source, mode="r|", errorlevel=2) as tar:
        for member in tar:
            yield member, tar.extractfile(member) if member.isreg() else None


def _family(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[: count + 1]) for count in range(len(parts)))


class _Reader(io.RawIOBase):
    """Pieces of bytes, as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count
