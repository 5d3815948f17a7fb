"""Small files that want to become large ones: a typed error, in bounded memory, in seconds."""

import io
import resource
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zstandard

from coopery import digest as _digest
from coopery.blobs import BlobStore
from coopery.errors import IntegrityError
from coopery.layer import TAR_GZIP, TAR_ZSTD, Layer
from coopery.oci.archive import read_archive
from coopery.oci.compression import detect, inflate
from coopery.oci.extract import extract
from coopery.oci.layers_view import LayersFiles
from coopery.oci.limits import Limits
from coopery.oci.rootfs import read_rootfs
from coopery.oci.stream import Stream

GIB = 1 << 30


def head(size: int) -> bytes:
    member = tarfile.TarInfo("zeros")
    member.size = size
    return member.tobuf(tarfile.USTAR_FORMAT)


def gzip_bomb(size: int) -> bytes:
    return zlib.compress(head(size), 9, wbits=31) + zlib.compress(bytes(32 << 20), 9, wbits=31) * (size >> 25)


def zstd_bomb(size: int) -> bytes:
    return zstandard.compress(head(size)) + zstandard.compress(bytes(32 << 20)) * (size >> 25)


@contextmanager
def bounded() -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


BOMBS = {"gzip": (gzip_bomb, TAR_GZIP), "zstd": (zstd_bomb, TAR_ZSTD)}


@pytest.mark.parametrize(
    "limits", [Limits(floor=8 << 20), pytest.param(Limits(), marks=pytest.mark.slow)], ids=["short", "as shipped"]
)
@pytest.mark.slow
@pytest.mark.parametrize("kind", BOMBS)
def test_a_gigabyte_of_zeros_is_refused_everywhere(kind: str, limits: Limits, blobs: BlobStore, tmp_path: Path) -> None:
    make, media_type = BOMBS[kind]
    bomb = make(GIB)
    assert len(bomb) < 1_100_000
    layer = Layer(_digest.of_bytes(b"whatever it says"), blobs.put(bomb), len(bomb), media_type)
    path = tmp_path / "bomb"
    path.write_bytes(bomb)
    for read in (
        lambda: LayersFiles([layer], blobs, limits).listdir("/"),
        lambda: extract([layer], blobs, tmp_path / "root", limits=limits),
        lambda: read_rootfs(path, "linux/amd64", blobs, limits=limits),
        lambda: read_archive(path, "", "linux/amd64", blobs, limits=limits),
    ):
        with bounded(), pytest.raises(IntegrityError, match="stored bytes became"):
            read()
    assert not list(blobs.staging.iterdir())


def test_a_size_above_the_bound_is_refused(store: Callable[..., Layer], blobs: BlobStore) -> None:
    layer = store([("a", bytes(range(256)) * 100)], TAR_GZIP)
    with pytest.raises(IntegrityError, match="more than 20000 bytes after decompression"):
        LayersFiles([layer], blobs, Limits(size=20_000)).listdir("/")


def test_a_window_above_the_bound_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    stored = packer.compress(bytes(1 << 20)) + packer.flush()
    plain = inflate(io.BytesIO(stored), "zstd", Limits(window=1 << 20), "x")
    with pytest.raises(IntegrityError, match=r"damaged zstd data: .*memory"):
        plain.read(10)


def test_small_files_of_zeros_are_innocent(store: Callable[..., Layer], blobs: BlobStore) -> None:
    layer = store([("zeros", bytes(20 << 20))], TAR_GZIP)
    assert LayersFiles([layer], blobs).listdir("/") == ("zeros",)


@pytest.mark.slow
def test_a_million_files_are_refused(blobs: BlobStore, tmp_path: Path) -> None:
    members = b"".join(tarfile.TarInfo(f"usr/lib/file{n}").tobuf(tarfile.USTAR_FORMAT) for n in range(10_000))
    data = zlib.compress(members, 1, wbits=31) * 100
    layer = Layer(_digest.of_bytes(b"?"), blobs.put(data), len(data), TAR_GZIP)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(IntegrityError, match="more than 400000 entries"):
        extract([layer], blobs, tmp_path / "root")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 250 << 10


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (zlib.compress(b"x" * 5000, wbits=31)[:-4], "too early"),
        (zlib.compress(b"x" * 5000, wbits=31) + b"junk", "damaged gzip"),
        (zlib.compress(b"x" * 5000, wbits=31)[:-8] + bytes(8), "damaged gzip"),
        (b"\x1f\x8b", "too early"),
        (zstandard.compress(b"x" * 5000)[:6] + b"\xff" * 20, "damaged zstd"),
        (zstandard.compress(b"x" * 5000) + b"junkjunk", "damaged zstd"),
    ],
)
def test_damaged_streams(data: bytes, match: str) -> None:
    plain = inflate(io.BytesIO(data), detect(data, "x"), Limits(), "x")
    with pytest.raises(IntegrityError, match=match):
        Stream(plain).drain()


def test_frames_one_after_the_other_and_skippable_ones() -> None:
    skippable = b"\x50\x2a\x4d\x18\x05\0\0\0abcde"
    data = zstandard.compress(b"one") + skippable + zstandard.compress(b"two") + skippable
    plain = inflate(io.BytesIO(data), "zstd", Limits(), "x")
    found = b""
    while piece := plain.read(2):
        found += piece
    assert found == b"onetwo"


@pytest.mark.parametrize(("data", "name"), [(b"BZh91AY", "bzip2"), (b"\xfd7zXZ\0", "xz"), (b"PK\x03\x04..", "zip")])
def test_other_compressions_are_named(data: bytes, name: str) -> None:
    with pytest.raises(IntegrityError, match=f"compressed by {name}; a plain, gzip or zstd tar is read"):
        detect(data, "x")
