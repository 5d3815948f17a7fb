"""Bases brought in from what ``docker save`` writes, of each age."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from coopery import digest as _digest
from coopery.blobs import BlobStore
from coopery.errors import BaseError, IntegrityError
from coopery.image import Assembled
from coopery.layer import TAR_GZIP, Layer
from coopery.oci.archive import read_archive
from coopery.oci.validate import validate

AMD, ARM = "linux/amd64", "linux/arm64"
Store = Callable[..., Layer]
Assemble = Callable[..., Assembled]
Files = dict[str, bytes | str]


@pytest.fixture
def saved(store: Store, blobs: BlobStore, assemble: Assemble, tar: Callable[..., bytes]) -> Files:
    """What Docker 1.10 to 24 writes: the second layer twice, once as a symlink."""
    first, second = store([("a", b"1")]), store([("b", b"2")])
    image = assemble([first, second, second])
    return {
        "aa/layer.tar": blobs.path(first.digest).read_bytes(),
        "aa/VERSION": b"1.0",
        "bb/layer.tar": blobs.path(second.digest).read_bytes(),
        "cc/layer.tar": "->../bb/layer.tar",
        f"{image.image_id[7:]}.json": image.config,
        "manifest.json": json.dumps(
            [
                {
                    "Config": f"{image.image_id[7:]}.json",
                    "RepoTags": ["x:v1", "host:5000/y:v2"],
                    "Layers": ["aa/layer.tar", "bb/layer.tar", "cc/layer.tar"],
                }
            ]
        ).encode(),
        "repositories": b"{}",
    }


@pytest.fixture
def save(tmp_path: Path, tar: Callable[..., bytes]) -> Callable[[Files], Path]:
    def write(files: Files) -> Path:
        path = tmp_path / "saved.tar"
        path.write_bytes(tar(list(files.items())))
        return path

    return write


@pytest.mark.parametrize("tag", ["", "v1", "v2", "x:v1", "host:5000/y:v2"])
def test_the_old_form(saved: Files, save: Callable[[Files], Path], ours: BlobStore, tag: str) -> None:
    digest, image = read_archive(save(saved), tag, AMD, ours)
    assert digest == image.image_id
    assert image.layers[1].diff_id == image.layers[2].diff_id
    validate(image)
    for layer in image.layers:
        assert ours.read(layer.digest)


def test_layers_in_an_archive_may_be_compressed(saved: Files, save: Callable[[Files], Path], ours: BlobStore) -> None:
    plain = saved["aa/layer.tar"]
    assert isinstance(plain, bytes)
    saved["aa/layer.tar"] = gzip.compress(plain, mtime=0)
    _, image = read_archive(save(saved), "", AMD, ours)
    assert (image.layers[0].media_type, image.layers[0].diff_id) == (TAR_GZIP, _digest.of_bytes(plain))
    assert ours.size(image.layers[0].digest) == image.layers[0].size


def _without(saved: Files, name: str) -> Files:
    return {path: data for path, data in saved.items() if path != name}


def test_what_is_wrong_with_a_saved_image(saved: Files, save: Callable[[Files], Path], ours: BlobStore) -> None:
    config = next(name for name in saved if len(name) == 69)
    text = saved["manifest.json"]
    assert isinstance(text, bytes)
    damaged: list[tuple[Files, type[Exception], str]] = [
        ({**saved, "aa/layer.tar": b"junk"}, IntegrityError, "aa/layer.tar|expected sha256"),
        ({**saved, config: b"{}"}, IntegrityError, "named by a digest"),
        ({**saved, "manifest.json": b"{}"}, IntegrityError, "expected a JSON array"),
        ({**saved, "manifest.json": b"[]"}, BaseError, "no image with the tag"),
        ({**saved, "manifest.json": b"[7]"}, IntegrityError, "expected an object"),
        ({**saved, "manifest.json": text.replace(b'"cc/layer.tar"', b"7")}, IntegrityError, "arrays of names"),
        ({**saved, "manifest.json": text.replace(b', "cc/layer.tar"', b"")}, IntegrityError, "2 layers, but"),
        ({**saved, "cc/layer.tar": "->../cc/layer.tar"}, BaseError, "cc/layer.tar"),
        ({**saved, "cc/layer.tar": "->/etc/passwd"}, BaseError, "cc/layer.tar"),
        ({**saved, "cc/layer.tar": "->../../../../etc/passwd"}, BaseError, "cc/layer.tar"),
        (_without(saved, "bb/layer.tar"), BaseError, "bb/layer.tar"),
        (_without(saved, config), BaseError, config),
        (_without(saved, "manifest.json"), BaseError, "older than 1.10"),
        ({"etc/passwd": b"x"}, BaseError, "neither an OCI archive nor a Docker archive"),
    ]
    for files, kind, match in damaged:
        with pytest.raises(kind, match=match):
            read_archive(save(files), "", AMD, ours)
    with pytest.raises(BaseError, match="there is x:v1, host:5000/y:v2"):
        read_archive(save(saved), "v3", AMD, ours)
    with pytest.raises(BaseError, match="no image for linux/arm64; there is linux/amd64"):
        read_archive(save(saved), "", ARM, ours)


def test_files_that_are_no_archive(ours: BlobStore, tmp_path: Path) -> None:
    path = tmp_path / "x"
    for data, match in ((b"", "empty archive"), (b"hello" * 200, "not a tar"), (bytes(1024), "empty archive")):
        path.write_bytes(data)
        with pytest.raises(IntegrityError, match=match):
            read_archive(path, "", AMD, ours)
