"""The files of one package as entries of a layer: paths checked and merged, content kept where memory allows."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Final

from coopery.blobs import disk_error
from coopery.errors import BaseError
from coopery.layer import Entry
from coopery_debian.control import paragraph
from coopery_debian.deb import Deb
from coopery_debian.merge_usr import MERGED, leads_to, merged

_SMALL: Final = 1 << 16
_IN_MEMORY: Final = 1 << 24
_ENTRIES: Final = 1_000_000
_STATUS: Final = "var/lib/dpkg/status.d"


def unpack(path: Path, package: str, scratch: Path) -> tuple[Entry, ...]:
    """Every path of the package *package* in the file at *path*, and its entry in dpkg's status.

    Small files are held in memory, up to 16 MiB in all; the others are written below *scratch*, which must outlive
    the entries. Owners, modes and set-user-id bits are those of the package.

    Raises:
        BaseError: it is damaged, it is another package, or it holds what no layer may: a path that leaves the root,
            a device, a whiteout.
        CacheError: *scratch* cannot be written.
    """
    with Deb(path, package) as deb:
        control = deb.control()
        own = paragraph(control["control"].decode("utf-8", "replace")).get("Package", "")
        if own != package:
            raise BaseError(f"{package}: the package says that it is {own!r}")
        unpacker = _Unpacker(package, scratch)
        with deb.data() as archive:
            for member in archive:
                unpacker.add(archive, member)
    return (*_settled(unpacker.entries, package), *_status(package, control))


class _Unpacker:
    """Collects entries by their merged path."""

    def __init__(self, package: str, scratch: Path) -> None:
        self.entries: dict[str, Entry] = {}
        self._package = package
        self._scratch = scratch
        self._left = _IN_MEMORY
        self._written = 0

    def add(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """Add one member of ``data.tar``; where two come to one path, dpkg's order decides: the later one is on top."""
        written = _relative(member.name, self._package)
        if not written or written in MERGED:
            return
        entry = self._entry(archive, member, written)
        before = self.entries.get(entry.path)
        if before is not None and "directory" in (before.kind, entry.kind) and before.kind != entry.kind:
            raise BaseError(f"{self._package}: {entry.path} is both a directory and not one")
        # A link from /usr/bin/x to /bin/x means the file itself once /usr is merged: it must not take its place.
        # Of a directory that comes twice the first stands, as dpkg leaves those that exist alone.
        if not _means_itself(entry, written) and (before is None or before.kind != "directory"):
            self.entries[entry.path] = entry
        if len(self.entries) > _ENTRIES:
            raise BaseError(f"{self._package}: more than {_ENTRIES} paths")

    def _entry(self, archive: tarfile.TarFile, member: tarfile.TarInfo, written: str) -> Entry:
        path, mode = merged(written), member.mode & 0o7777
        make = partial(Entry, path, uid=member.uid, gid=member.gid)
        if member.isdir():
            return make("directory", mode)
        if member.issym():
            return make("symlink", 0o777, target=_target(member.linkname, written, self._package))
        if member.islnk():
            return make("hardlink", mode, target=merged(_relative(member.linkname, self._package)))
        if member.isreg() and (stream := archive.extractfile(member)):
            return make("file", mode, source=self._content(stream, member.size), size=member.size)
        raise BaseError(f"{self._package}: {written} is a device, a pipe or of a kind that layers cannot hold")

    def _content(self, stream: IO[bytes], size: int) -> bytes | Path:
        if size <= _SMALL and size <= self._left:
            self._left -= size
            return _exactly(stream.read(), size, self._package)
        self._written += 1
        path = self._scratch / str(self._written)
        try:
            with path.open("xb") as file:
                shutil.copyfileobj(stream, file, 1 << 20)
                file.flush()
                _exactly(b"", size - file.tell(), self._package)
        except OSError as exc:
            raise disk_error(exc) from exc
        return path


def _relative(name: str, package: str) -> str:
    """``./usr/bin/x`` as ``usr/bin/x``; empty for the root itself."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise BaseError(f"{package}: the path {name!r} is not UTF-8") from exc
    path = name.removeprefix("./").rstrip("/")
    parts = [] if path in ("", ".") else path.split("/")
    if any(part in ("", ".", "..") or part.startswith(".wh.") or "\0" in part for part in parts):
        raise BaseError(f"{package}: the path {name!r} leaves the root, or is a whiteout")
    return "/".join(parts)


def _target(text: str, path: str, package: str) -> str:
    if not text or "\0" in text or not text.isprintable():
        raise BaseError(f"{package}: the symlink {path} has an impossible target {text!r}")
    return text


def _means_itself(entry: Entry, written: str) -> bool:
    return entry.kind == "symlink" and leads_to(written, entry.target) == entry.path


def _exactly(data: bytes, size: int, package: str) -> bytes:
    if len(data) != size:
        raise BaseError(f"{package}: not a Debian package: data.tar is cut short")
    return data


def _settled(entries: dict[str, Entry], package: str) -> Iterator[Entry]:
    """All entries, sorted, once it is sure that nothing lies below what is no directory."""
    for path in sorted(entries):
        parent = entries.get(path.rpartition("/")[0])
        if parent is not None and parent.kind != "directory":
            raise BaseError(f"{package}: {path} lies below {parent.path}, which is no directory")
        yield entries[path]


def _status(package: str, control: dict[str, bytes]) -> Iterator[Entry]:
    """What dpkg records of the package, in the form that distroless images have and scanners read."""
    for name, suffix in (("control", ""), ("md5sums", ".md5sums")):
        if name in control:
            data = control[name]
            yield Entry(f"{_STATUS}/{package}{suffix}", source=data, size=len(data))
