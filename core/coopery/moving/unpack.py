"""Reading a bundle: in one pass, everything hashed on the way, nothing believed, nothing put where it counts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final, NoReturn

from coopery.blobs import BlobWriter, disk_error
from coopery.digest import Digest
from coopery.errors import BaseError, IntegrityError, StoreFull, UsageError
from coopery.moving import manifest
from coopery.moving.cargo import RECORDS, Cargo, Part, bytes_of
from coopery.moving.pack import HEAD, length
from coopery.oci import document
from coopery.oci.compression import CHUNK, Hashed, Readable, detect, inflate
from coopery.oci.limits import Limits
from coopery.oci.marker import check_marker
from coopery.oci.source import open_regular
from coopery.oci.stream import Stream
from coopery.oci.tar import Member, TarReader

_LIMITS: Final = Limits(size=1 << 44, entries=100_000)
_FOLDERS: Final = ("blobs", "coopery")


def unpack(
    path: Path, folder: Path, here: Callable[[Part], bool], expected: Digest | None = None
) -> tuple[Cargo, Digest]:
    """Everything in the bundle at *path*, as files in *folder*; what is *here* already is only checked.

    Args:
        path: the bundle.
        folder: an empty one.
        here: whether a part is there already.
        expected: digest of the file, where whoever takes it was told that by whoever made it.

    Returns:
        The cargo, and the digest of the file, both of one and the same reading.

    Raises:
        UsageError: no bundle of ours.
        IntegrityError: damaged, cut short, with anything in it that it does not list, or not the *expected* file.
        StoreFull, CacheError: the disk refused.
    """
    try:
        with open_regular(path) as file:
            head = os.pread(file.fileno(), 6, 0)
            source = Hashed(file)
            cargo = _Bundle(path, inflate(source, detect(head, str(path)), _LIMITS, str(path)), folder, here).read()
            while source.read(CHUNK):  # what stands behind the end of the tar is of the file, too
                pass
    except BaseError as exc:
        raise UsageError(exc.message) from exc
    except OSError as exc:
        raise disk_error(exc) from exc
    if expected is not None and source.digest != expected:
        raise IntegrityError(
            f"{path}: its digest is {source.digest}, and {expected} was expected",
            remedy="nothing of it was taken; copy the bundle again, or ask whoever made it which digest it has",
        )
    return cargo, source.digest


class _Bundle:
    def __init__(self, path: Path, source: Readable, folder: Path, here: Callable[[Part], bool]) -> None:
        self._where = str(path)
        self._folder = folder
        self._here = here
        self._stream = Stream(source)

    def read(self) -> Cargo:
        reader = TarReader(self._stream, _LIMITS, self._where)
        documents: list[bytes] = []
        cargo = Cargo()
        waiting: dict[str, Part] = {}
        parts: list[Part] = []
        for member in reader:
            if member.kind == "directory" and member.path.split("/")[0] in _FOLDERS:
                continue  # none is written by us; tools that pack a folder again add them
            if len(documents) < len(HEAD):
                documents.append(self._document(member, HEAD[len(documents)]))
                if len(documents) == len(HEAD):
                    cargo = self._listed(documents)
                    waiting = cargo.by_name()
                    self._check_space(cargo)
                continue
            part = waiting.pop(member.path, None)
            if part is None or member.kind != "file" or member.size != part.size:
                self._fail(f"{member.path[:200]!r} ({member.kind}, {member.size} bytes) is not what the bundle lists")
            parts.append(self._take(part, len(parts)))
        if len(documents) < len(HEAD):
            raise self._no_bundle()
        if waiting or not reader.ended:
            self._fail(f"it ends too early: {len(waiting)} of {len(cargo.parts)} parts are missing")
        self._stream.drain()
        sizes = [*zip(HEAD, map(len, documents), strict=True), *((part.name, part.size) for part in parts)]
        if self._stream.position < length(sizes):
            self._fail("it ends too early: its end mark is not whole")
        read = [manifest.decode_record(bytes_of(part), part.name) for part in parts if part.name.startswith(RECORDS)]
        return Cargo(manifest.histories(read, self._where), cargo.images, tuple(sorted(parts, key=lambda p: p.name)))

    def _document(self, member: Member, name: str) -> bytes:
        if member.path != name or member.kind != "file":
            raise self._no_bundle()
        if member.size > document.MAX_BYTES:
            self._fail(f"{name} has {member.size} bytes; at most {document.MAX_BYTES} are read")
        return self._stream.read(member.size)

    def _listed(self, documents: list[bytes]) -> Cargo:
        check_marker(documents[0], self._where)
        cargo = manifest.decode_cargo(documents[2], f"{self._where}: {manifest.NAME}")
        if document.parse(documents[1], f"{self._where}: index.json") != document.parse(
            manifest.index(cargo.images), self._where
        ):
            self._fail("index.json lists other images than its own list")
        return cargo

    def _check_space(self, cargo: Cargo) -> None:
        """Refuse what has no room before any of it is written: it may state any size."""
        needed = sum(part.size for part in cargo.parts if not self._here(part))
        free = shutil.disk_usage(self._folder).free
        if needed > free:
            raise StoreFull(
                f"{self._where}: {needed} bytes are to come, and {free} are free in {self._folder.parent.parent}",
                remedy="free some space, or set COOPERY_HOME to a larger disk",
            )

    def _take(self, part: Part, number: int) -> Part:
        """The bytes of *part*, checked: a file in our folder, or nothing where they are here already."""
        small = part.name.startswith(RECORDS)
        if small and part.size > document.MAX_BYTES:
            self._fail(f"{part.name}: {part.size} bytes; at most {document.MAX_BYTES} are read")
        path = None if not small and self._here(part) else self._folder / f"{number}"
        with open(path or os.devnull, "xb" if path else "wb", buffering=0) as stream:
            self._copy(part, stream)
            if path is not None:
                os.fsync(stream.fileno())
        return Part(part.name, part.digest, part.size, path)

    def _copy(self, part: Part, stream: IO[bytes]) -> None:
        writer = BlobWriter(stream)
        for piece in self._stream.pieces(part.size):
            writer.write(piece)
        if writer.size != part.size:
            self._fail(f"it ends too early, in {part.name}")
        if writer.finish() != part.digest:
            self._fail(f"{part.name}: other bytes than its digest {part.digest} says")

    def _no_bundle(self) -> UsageError:
        return UsageError(
            f"{self._where}: no bundle of Coopery's: it does not begin with {', '.join(HEAD)}",
            remedy="an image's archive is a base (base: {archive: …}); coopery cache copy makes bundles",
        )

    def _fail(self, reason: str) -> NoReturn:
        raise IntegrityError(f"{self._where}: {reason}", remedy="nothing of it was taken; copy the bundle again")
