"""A bit that flipped in a stored blob is noticed by whoever reads it: a thousand blobs, and all readers in turn."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from coopery import digest as _digest
from coopery.blobs import BlobStore
from coopery.errors import IntegrityError
from coopery.layer import TAR, TAR_GZIP, TAR_ZSTD, Layer
from coopery.oci.compressed import compress
from coopery.oci.extract import extract
from coopery.oci.layer_blob import opened
from coopery.oci.layers_view import LayersFiles
from coopery.oci.verified import copy
from soak import SOAK

BLOBS = 1000
PACK: dict[str, Callable[[bytes], bytes]] = {
    TAR: bytes,
    TAR_GZIP: lambda data: gzip.compress(data, 1, mtime=0),
    TAR_ZSTD: lambda data: zstandard.compress(data, 1),
}
Reader = Callable[[Layer, BlobStore, Path], object]


def _stream(layer: Layer, blobs: BlobStore, _folder: Path) -> None:
    with opened(layer, blobs) as plain:
        plain.drain()


READERS: dict[str, Reader] = {
    "whole": lambda layer, blobs, _: blobs.read(layer.digest),
    "copied": lambda layer, blobs, _: copy(blobs.path(layer.digest), layer.digest, bytes),
    "as a stream": _stream,
    "one file": lambda layer, blobs, _: LayersFiles([layer], blobs).read("etc/file", 1 << 20),
    "unpacked": lambda layer, blobs, folder: extract([layer], blobs, folder),
    "compressed": lambda layer, blobs, _: compress(layer, blobs, "gzip"),
}
"""What pushes, exports, runs and looks at bases do with a blob."""


def layer_of(number: int, chance: random.Random) -> tuple[bytes, Layer]:
    """A layer's stored bytes; every third is plain, every third gzip, every third zstd."""
    content = chance.randbytes(chance.randrange(1, 3000))
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path, kind, data in (("etc", tarfile.DIRTYPE, b""), ("etc/file", tarfile.REGTYPE, content)):
            member = tarfile.TarInfo(path)
            member.type, member.size = kind, len(data)
            archive.addfile(member, io.BytesIO(data))
    plain, media_type = stream.getvalue(), tuple(PACK)[number % len(PACK)]
    stored = PACK[media_type](plain)
    return stored, Layer(_digest.of_bytes(plain), _digest.of_bytes(stored), len(stored), media_type)


def kinds(number: int, layer: Layer) -> Iterator[str]:
    """The readers that this blob is tried with: one after the other in turn, or all in the long run."""
    able = [name for name in READERS if name != "compressed" or layer.media_type == TAR]
    yield from able if SOAK else [able[number // len(PACK) % len(able)]]


@pytest.mark.slow
def test_a_thousand_flipped_bits(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path / "home" / "images" / "blobs", tmp_path / "home" / "staging")
    chance = random.Random(19)
    tried = dict.fromkeys(READERS, 0)
    for number in range(BLOBS):
        data, layer = layer_of(number, chance)
        path = blobs.path(layer.digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        damaged = bytearray(data)
        damaged[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        for name in kinds(number, layer):
            with pytest.raises(IntegrityError):
                READERS[name](layer, blobs, tmp_path / f"tree {number}")
            tried[name] += 1
            assert layer.media_type == TAR or blobs.size(layer.diff_id) is None, "nothing is made of a damaged blob"
        path.write_bytes(data)
        assert LayersFiles([layer], blobs).read("etc/file", 1 << 20), "the same bytes, undamaged"
    assert sum(tried.values()) >= BLOBS
    assert min(tried.values()) >= BLOBS // len(READERS) // len(PACK)
    assert not list((tmp_path / "home" / "staging").glob("*"))
