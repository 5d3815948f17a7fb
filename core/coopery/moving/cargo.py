"""What is moved, wherever it comes from and goes to: records, the images that they name, and fetched packages."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from attrs import field, frozen

from coopery import digest as _digest
from coopery.blobs import disk_error
from coopery.cache import Record
from coopery.digest import Digest
from coopery.errors import IntegrityError
from coopery.oci.verified import copy

BLOBS: Final = "blobs/sha256/"
RECORDS: Final = "coopery/records/"
FILES: Final = "coopery/files/"
TREES: Final = "coopery/trees/"
"""What names of parts begin with: blobs of images, records, single files of shelves, folders of shelves as tars."""

History = tuple[Record, ...]
"""All generations of one name that a store still has, the oldest first."""


@frozen
class Part:
    """One thing with bytes.

    Attributes:
        name: path in a bundle.
        digest, size: of its bytes.
        content: the bytes, or a file that has them; None where nobody needs them, since they are there already.
    """

    name: str
    digest: Digest
    size: int
    content: bytes | Path | None = field(default=None, eq=False, repr=False)


@frozen
class Carried:
    """One image, or the base of one.

    Attributes:
        manifest, media_type, size: its manifest's descriptor.
        image: its id.
        platform: ``linux/amd64``.
        tags: under which a layout lists it; none: it is listed by its digest.
        listed: whether a layout lists it; a base need not be.
    """

    manifest: Digest
    media_type: str
    size: int
    image: Digest
    platform: str
    tags: tuple[str, ...] = ()
    listed: bool = True


@frozen
class Cargo:
    """Everything that is moved at once; ``parts`` hold each blob and package once, sorted by name."""

    histories: tuple[History, ...] = ()
    images: tuple[Carried, ...] = ()
    parts: tuple[Part, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(part.size for part in self.parts)

    def by_name(self) -> dict[str, Part]:
        """Parts by their names."""
        return {part.name: part for part in self.parts}


def blob_part(digest: Digest, size: int, path: Path | None) -> Part:
    """The part that is a blob of an image."""
    return Part(f"{BLOBS}{_digest.hex_of(digest)}", digest, size, path)


def file_part(name: str, path: Path) -> Part:
    """The part that is the file at *path*, hashed now.

    Raises:
        CacheError: it cannot be read.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            return Part(name, _digest.of_file(file), os.fstat(file.fileno()).st_size, path)
    except OSError as exc:
        raise disk_error(exc) from exc


def bytes_of(part: Part) -> bytes:
    """All bytes of a small part, verified.

    Raises:
        IntegrityError: they are others.
    """
    if isinstance(part.content, bytes):
        data = part.content
        if _digest.of_bytes(data) != part.digest:
            raise IntegrityError(f"{part.name}: other bytes than its digest {part.digest} says")
        return data
    pieces: list[bytes] = []
    if part.content is None:
        raise IntegrityError(f"{part.name}: its bytes are not here")
    copy(part.content, part.digest, pieces.append)
    return b"".join(pieces)


def unique(parts: Iterable[Part]) -> tuple[Part, ...]:
    """*parts*, each name once, by name."""
    found = {part.name: part for part in parts}
    return tuple(found[name] for name in sorted(found))
