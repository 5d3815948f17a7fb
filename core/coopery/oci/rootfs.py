"""A root file system's tar as a base of one layer.

The layer is the tar as it stands, decompressed: times, owners and extended attributes stay, and its diff id is what
``sha256sum`` says of the tar. What engines could disagree on is refused instead of rewritten.
"""

from __future__ import annotations

import os
from pathlib import Path

from coopery.blobs import BlobStore, BlobWriter
from coopery.errors import BaseError, IntegrityError
from coopery.image import Assembled
from coopery.layer import Layer
from coopery.oci.compression import Readable, detect, inflate
from coopery.oci.config import make_config
from coopery.oci.limits import DEFAULT, Limits
from coopery.oci.source import open_regular
from coopery.oci.stream import Stream
from coopery.oci.tar import Member, TarReader
from coopery.oci.tree import WHITEOUT, Tree

_CREATED_BY = "coopery: root file system"


def read_rootfs(path: Path, platform: str, blobs: BlobStore, *, limits: Limits = DEFAULT) -> Assembled:
    """Bring the tar at *path*, plain, gzip or zstd, into *blobs*; the image states nothing but *platform*.

    Raises:
        BaseError: absent, unreadable, or an image's archive instead.
        IntegrityError: no whole tar, whiteouts in it, a path below a file or outside, beyond *limits*.
        StoreFull, CacheError: our disk refused.
    """
    where = str(path)
    with open_regular(path) as file:
        compression = detect(os.pread(file.fileno(), 6, 0), where)
        with blobs.create() as writer:
            plain = _Tee(inflate(file, compression, limits, where), writer)
            _check(plain, limits, where)
    assert writer.digest is not None  # noqa: S101 - set when the context ended
    layer = Layer(writer.digest, writer.digest, writer.size, created_by=_CREATED_BY)
    return Assembled(make_config(platform, [layer.diff_id], _CREATED_BY), (layer,))


def _check(plain: Readable, limits: Limits, where: str) -> None:
    stream = Stream(plain)
    reader = TarReader(stream, limits, where)
    members = list(reader)
    if not reader.ended:
        raise IntegrityError(f"{where}: the archive ends without its end mark: it was cut off")
    while rest := stream.read(1 << 20):
        if rest.strip(b"\0"):
            raise IntegrityError(f"{where}: there are bytes behind the end of the archive")
    _check_members(members, where)
    Tree(limits).apply(members, where)  # paths below files, links to nothing


def _check_members(members: list[Member], where: str) -> None:
    if not members:
        raise BaseError(f"{where}: an empty archive; for a base with nothing in it write base: scratch")
    for member in members:
        if member.path in ("manifest.json", "oci-layout"):
            raise BaseError(f"{where}: an image's archive, no root file system", remedy="write base: {archive: …}")
        if member.path.startswith(WHITEOUT) or "/" + WHITEOUT in member.path:
            raise IntegrityError(f"{where}: {member.path!r} means a deletion in a layer and has no place in a base")


class _Tee:
    def __init__(self, source: Readable, writer: BlobWriter) -> None:
        self._source = source
        self._writer = writer

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self._writer.write(data)
        return data
