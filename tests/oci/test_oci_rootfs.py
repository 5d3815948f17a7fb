"""A root file system's tar as a base."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from coopery import digest as _digest
from coopery.blobs import BlobStore
from coopery.errors import BaseError, IntegrityError
from coopery.layer import TAR
from coopery.oci.layers_view import LayersFiles
from coopery.oci.rootfs import read_rootfs
from coopery.oci.validate import validate

Tar = Callable[..., bytes]
ENTRIES: list[tuple[Any, ...]] = [
    ("./", None),
    ("./usr/bin", None),
    ("./bin", "->usr/bin"),
    ("./usr/bin/sh", b"\x7fELF", {"mode": 0o755, "mtime": 12345}),
    ("./usr/bin/dash", "=>./usr/bin/sh"),
    ("./dev/null", b"", {"type": b"3"}),
]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstd"])
def test_the_layer_is_the_tar_as_it_stands(
    tar: Tar, blobs: BlobStore, tmp_path: Path, pack: Callable[[bytes], bytes], check_schema: Callable[..., None]
) -> None:
    data = tar(ENTRIES)
    path = tmp_path / "rootfs.tar"
    path.write_bytes(pack(data))
    image = read_rootfs(path, "linux/arm64", blobs)
    (layer,) = image.layers
    assert (layer.digest, layer.diff_id, layer.media_type) == (_digest.of_bytes(data), _digest.of_bytes(data), TAR)
    assert blobs.read(layer.digest) == data
    assert (image.document["os"], image.document["architecture"]) == ("linux", "arm64")
    validate(image)
    check_schema("config", image.config)
    assert LayersFiles(image.layers, blobs).read("/usr/bin/dash", 9) == b"\x7fELF"


def test_equal_tars_give_equal_images(tar: Tar, blobs: BlobStore, tmp_path: Path) -> None:
    images = []
    for name, pack in (("a", bytes), ("b", gzip.compress)):
        (tmp_path / name).write_bytes(pack(tar(ENTRIES)))
        images.append(read_rootfs(tmp_path / name, "linux/amd64", blobs))
    assert images[0] == images[1]


BAD: dict[str, tuple[list[tuple[Any, ...]], str]] = {
    "dot-dot": ([("../x", b"")], "leaves the archive"),
    "whiteout": ([("etc/.wh.passwd", b"")], "means a deletion"),
    "opaque": ([("etc/.wh..wh..opq", b"")], "means a deletion"),
    "below a file": ([("x", b""), ("x/y", b"")], "is a file"),
    "link to nothing": ([("x", "=>y")], "a hard link to"),
    "sparse": ([("x", b"", {"type": b"S"})], "sparse"),
    "root as a file": ([("./", b"", {"type": b"2", "linkname": "x"})], "the root is a folder"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_engines_would_disagree_on_is_refused(tar: Tar, blobs: BlobStore, tmp_path: Path, name: str) -> None:
    entries, match = BAD[name]
    (tmp_path / "rootfs.tar").write_bytes(tar(entries))
    with pytest.raises(IntegrityError, match=match):
        read_rootfs(tmp_path / "rootfs.tar", "linux/amd64", blobs)
    assert not list(blobs.staging.iterdir())


def test_a_tar_that_was_cut_off_or_goes_on(tar: Tar, blobs: BlobStore, tmp_path: Path) -> None:
    path = tmp_path / "rootfs.tar"
    data = tar([("a", b"1" * 1000)])
    for bad, match in (
        (data[:1024], "too early"),
        (data[:1536], "cut off"),
        (data + b"x", "behind the end"),
        (gzip.compress(data)[:-9], "too early"),
        (zstandard.compress(data)[:-1], "too early|cut off|damaged"),
        (b"", "cut off"),
    ):
        path.write_bytes(bad)
        with pytest.raises(IntegrityError, match=match):
            read_rootfs(path, "linux/amd64", blobs)


def test_an_images_archive_is_no_root_file_system(tar: Tar, blobs: BlobStore, tmp_path: Path) -> None:
    path = tmp_path / "rootfs.tar"
    path.write_bytes(tar([("manifest.json", json.dumps([]).encode())]))
    with pytest.raises(BaseError, match="an image's archive") as seen:
        read_rootfs(path, "linux/amd64", blobs)
    assert "base: {archive:" in seen.value.remedy
    path.write_bytes(bytes(10240))
    with pytest.raises(BaseError, match="base: scratch"):
        read_rootfs(path, "linux/amd64", blobs)
