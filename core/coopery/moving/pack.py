"""A bundle: one tar that is an OCI layout, with our records and packages beside the blobs. Equal cargo, equal bytes."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final

from coopery.digest import Digest
from coopery.errors import IntegrityError
from coopery.moving import manifest
from coopery.moving.cargo import Cargo, Part
from coopery.oci.compression import Hashed
from coopery.oci.compressor import Sink, deflating
from coopery.oci.marker import MARKER
from coopery.oci.media import Compression
from coopery.oci.tar_file import Content, header, replacing, write_member

HEAD: Final = ("oci-layout", "index.json", manifest.NAME)
"""The first members, in this order: what follows is then known by name, size and digest before it comes."""

_COMPRESSIONS: Final[dict[str, Compression]] = {".zst": "zstd", ".gz": "gzip"}
_END: Final = bytes(tarfile.BLOCKSIZE * 2)


def pack(cargo: Cargo, file: Path) -> Digest:
    """Write *cargo* to *file*, in place of what was there; compressed where its name ends in ``.zst`` or ``.gz``.

    Returns:
        The file's digest: what the two ends of a journey compare.

    Raises:
        IntegrityError: a blob or package is not what it should be.
        StoreFull, CacheError: the disk refused. What was there before still is.
    """
    documents = (MARKER, manifest.index(cargo.images), manifest.encode_cargo(cargo))
    members: list[tuple[str, Content]] = list(zip(HEAD, documents, strict=True))
    members += [(part.name, _content(part)) for part in cargo.parts]
    sizes = [(name, len(data)) for name, data in zip(HEAD, documents, strict=True)]
    sizes += [(part.name, part.size) for part in cargo.parts]
    total = length(sizes)
    with replacing(file) as stream:
        with _compressed(stream, file, total) as sink:
            for name, content in members:
                with telling(content):
                    write_member(sink, name, content)
            sink.write(_END)
        stream.flush()
    return digest_of(file)


def length(sizes: Iterable[tuple[str, int]]) -> int:
    """Bytes of a tar, uncompressed, of members with these names and sizes."""
    return sum(len(header(name, size)) + _padded(size) for name, size in sizes) + len(_END)


def digest_of(file: Path) -> Digest:
    """Digest of the bytes of *file*."""
    with file.open("rb", buffering=0) as opened:
        hashed = Hashed(opened)
        while hashed.read(1 << 20):
            pass
    return hashed.digest


@contextmanager
def telling(content: object) -> Iterator[None]:
    """Say what to do about a file of the cache folder, *content* or first in it, that is damaged."""
    path = content[0] if isinstance(content, tuple) else content
    try:
        yield
    except IntegrityError as exc:
        if not isinstance(path, Path):
            raise
        raise IntegrityError(exc.message, remedy=f"remove {path}; the next build fetches or makes it again") from exc


@contextmanager
def _compressed(stream: Sink, file: Path, total: int) -> Iterator[Sink]:
    compression = _COMPRESSIONS.get(file.suffix, "")
    with deflating(stream, compression, total) if compression else nullcontext(stream) as sink:
        yield sink


def _content(part: Part) -> Content:
    if isinstance(part.content, Path):
        return part.content, part.digest
    return part.content or b""


def _padded(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
