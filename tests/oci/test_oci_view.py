"""Sight of files over layers: contents on demand, the kept index, and damage that is seen."""

from collections.abc import Callable

import pytest

from coopery.blobs import BlobStore
from coopery.errors import IntegrityError
from coopery.image import Assembled
from coopery.layer import TAR, TAR_GZIP, TAR_ZSTD, Layer
from coopery.oci.layers_view import LayersFiles

Store = Callable[..., Layer]
ENTRIES = [
    ("etc", None),
    ("etc/passwd", b"root:x:0:0\n" * 1000),
    ("lib", "->usr/lib"),
    ("dev/null", b"", {"type": b"3"}),
]


@pytest.mark.parametrize("media_type", [TAR, TAR_GZIP, TAR_ZSTD])
def test_reads_facts_without_unpacking(store: Store, blobs: BlobStore, media_type: str) -> None:
    files = LayersFiles([store(ENTRIES, media_type)], blobs)
    assert files.listdir("/") == ("dev", "etc", "lib")
    assert files.listdir("/etc/passwd") == files.listdir("/absent") == ()
    assert files.read("/etc/passwd", 6) == b"root:x"
    assert len(files.read("//etc/./passwd", 1 << 20)) == 11_000
    link, device = files.lstat("/lib"), files.lstat("/dev/null")
    assert link is not None
    assert device is not None
    assert (link.kind, link.target, device.kind) == ("symlink", "usr/lib", "other")
    assert files.lstat("/lib/x") is None


@pytest.mark.parametrize("path", ["/etc", "/lib", "/dev/null", "/absent", "/etc/passwd/x", "/"])
def test_only_regular_files_are_read(store: Store, blobs: BlobStore, path: str) -> None:
    with pytest.raises(FileNotFoundError):
        LayersFiles([store(ENTRIES)], blobs).read(path, 10)


def test_an_image_of_three_compressions(image: Assembled, blobs: BlobStore) -> None:
    files = LayersFiles(image.layers, blobs)
    assert files.listdir("/etc") == ("new", "os-release")
    assert files.read("/usr/bin/tool", 4) == b"\x7fELF"


def test_the_index_is_kept_and_a_damaged_one_made_again(store: Store, blobs: BlobStore) -> None:
    layer = store(ENTRIES)
    LayersFiles([layer], blobs).listdir("/")
    path = blobs.beside(layer.diff_id, "entries")
    good = path.read_bytes()
    for bad in (b"", b"junk", good[:-1], good.replace(b"passwd", b"shadow")):
        path.write_bytes(bad)
        assert LayersFiles([layer], blobs).listdir("/etc") == ("passwd",)
        assert path.read_bytes() == good


def test_with_the_index_kept_the_layer_is_not_read(store: Store, blobs: BlobStore) -> None:
    layer = store(ENTRIES)
    LayersFiles([layer], blobs).listdir("/")
    blobs.path(layer.digest).unlink()
    files = LayersFiles([layer], blobs)
    assert files.listdir("/etc") == ("passwd",)
    with pytest.raises(IntegrityError, match="missing"):
        files.read("/etc/passwd", 1)


@pytest.mark.parametrize("media_type", [TAR, TAR_GZIP, TAR_ZSTD])
@pytest.mark.parametrize("indexed", [True, False])
def test_every_flipped_bit_is_seen(store: Store, blobs: BlobStore, media_type: str, indexed: bool) -> None:
    layer = store(ENTRIES, media_type)
    if indexed:
        LayersFiles([layer], blobs).listdir("/")
    path = blobs.path(layer.digest)
    good = path.read_bytes()
    for position in range(0, len(good), max(1, len(good) // 40)):
        path.write_bytes(good[:position] + bytes([good[position] ^ 0x10]) + good[position + 1 :])
        with pytest.raises(IntegrityError):
            LayersFiles([layer], blobs).read("/etc/passwd", 4)
        if media_type != TAR:  # where only what follows the last block is damaged, the content was made, and is right
            blobs.path(layer.diff_id).unlink(missing_ok=True)


@pytest.mark.parametrize("media_type", [TAR, TAR_GZIP, TAR_ZSTD])
@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"x", lambda data: data[:0]])
def test_a_layer_cut_short_or_made_longer_is_seen(
    store: Store, blobs: BlobStore, media_type: str, change: Callable[[bytes], bytes]
) -> None:
    layer = store(ENTRIES, media_type)
    path = blobs.path(layer.digest)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(IntegrityError):
        LayersFiles([layer], blobs).listdir("/")


def test_gzip_of_several_members_is_one_layer(store: Store, blobs: BlobStore, tar: Callable[..., bytes]) -> None:
    import gzip

    from coopery import digest as _digest

    data = tar([("a", b"x" * 5000)])
    stored = b"".join(gzip.compress(data[at : at + 1000], mtime=0) for at in range(0, len(data), 1000)) + bytes(100)
    layer = Layer(_digest.of_bytes(data), blobs.put(stored), len(stored), TAR_GZIP)
    assert LayersFiles([layer], blobs).read("/a", 9999) == b"x" * 5000
