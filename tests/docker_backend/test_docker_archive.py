"""Archives that are made while they are sent: read back by our own reader, and thin where asked."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from attrs import evolve

from coopery.backend import Workshop
from coopery.errors import IntegrityError
from coopery.image import Assembled
from coopery.layer import TAR_GZIP, TAR_ZSTD, Layer
from coopery.oci.archive import read_archive
from coopery.platform import of_host
from coopery_docker import archive


@pytest.fixture
def shop(made: SimpleNamespace, tmp_path: Path) -> Workshop:
    workshop: Workshop = made.shop(tmp_path / "home", [])
    return workshop


@pytest.fixture
def image(made: SimpleNamespace, shop: Workshop) -> Assembled:
    layers = [made.layer_of(shop, made.text(name, name.encode() * 700)) for name in ("a", "b", "c")]
    image: Assembled = made.image_of(layers)
    return image


def names(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return tar.getnames()


@pytest.mark.parametrize("form", [archive.classic, archive.layout])
def test_what_is_sent_reads_back_as_the_same_image(
    made: SimpleNamespace, shop: Workshop, image: Assembled, tmp_path: Path, form: object
) -> None:
    data = b"".join(form(image, shop.blobs, "coopery:one"))  # type: ignore[operator]
    (tmp_path / "sent.tar").write_bytes(data)
    other = made.shop(tmp_path / "other", [])
    _, found = read_archive(tmp_path / "sent.tar", "coopery:one", of_host(), other.blobs)
    assert found.config == image.config
    assert [layer.diff_id for layer in found.layers] == [layer.diff_id for layer in image.layers]


def test_classic_leaves_out_lower_layers_only(shop: Workshop, image: Assembled) -> None:
    data = b"".join(archive.classic(image, shop.blobs, "coopery:one", omit=2))
    assert names(data)[2:] == [f"{image.layers[2].diff_id[7:]}.tar"]
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        stream = tar.extractfile("manifest.json")
        assert stream is not None
        (entry,) = json.load(stream)
    assert len(entry["Layers"]) == 3
    assert entry["RepoTags"] == ["coopery:one"]


def test_layout_leaves_out_the_blobs_that_are_there(shop: Workshop, image: Assembled) -> None:
    kept = {image.layers[1].digest}
    found = names(b"".join(archive.layout(image, shop.blobs, "coopery:one", kept)))
    assert f"blobs/sha256/{image.layers[1].digest[7:]}" not in found
    assert f"blobs/sha256/{image.layers[0].digest[7:]}" in found


def test_a_layer_that_an_image_has_twice_is_sent_once(made: SimpleNamespace, shop: Workshop, image: Assembled) -> None:
    first = image.layers[0]
    twice = made.image_of([first, image.layers[1], first])
    assert len(names(b"".join(archive.classic(twice, shop.blobs, "coopery:one")))) == 4
    assert len(names(b"".join(archive.layout(twice, shop.blobs, "coopery:one")))) == 6


def compressed(shop: Workshop, layer: Layer, media_type: str) -> Layer:
    import zstandard

    plain = shop.blobs.path(layer.diff_id).read_bytes()
    data = gzip.compress(plain, mtime=0) if media_type == TAR_GZIP else zstandard.compress(plain)
    digest = shop.blobs.put(data)
    shop.blobs.path(layer.diff_id).unlink()
    return evolve(layer, digest=digest, size=len(data), media_type=media_type)


@pytest.mark.parametrize("media_type", [TAR_GZIP, TAR_ZSTD])
def test_compressed_layers_are_sent_in_a_form_that_every_daemon_takes(
    made: SimpleNamespace, shop: Workshop, image: Assembled, tmp_path: Path, media_type: str
) -> None:
    layers = [compressed(shop, image.layers[0], media_type), *image.layers[1:]]
    data = b"".join(archive.classic(Assembled(image.config, tuple(layers)), shop.blobs, "coopery:one"))
    (tmp_path / "sent.tar").write_bytes(data)
    read_archive(tmp_path / "sent.tar", "", of_host(), made.shop(tmp_path / "other", []).blobs)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        stream = tar.extractfile(f"{image.layers[0].diff_id[7:]}.tar")
        assert stream is not None
        assert stream.read(2) == (b"\x1f\x8b" if media_type == TAR_GZIP else b"a\0")


@pytest.mark.parametrize("form", [archive.classic, archive.layout])
def test_a_missing_blob_is_an_integrity_error(shop: Workshop, image: Assembled, form: object) -> None:
    shop.blobs.path(image.layers[1].digest).unlink()
    with pytest.raises(IntegrityError, match="missing"):
        b"".join(form(image, shop.blobs, "coopery:one"))  # type: ignore[operator]
