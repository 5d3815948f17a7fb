"""Bases brought in from layouts and archives: what is chosen, what is verified, what is refused."""

import gzip
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from coopery import digest as _digest
from coopery.blobs import BlobStore
from coopery.errors import BaseError, IntegrityError, UsageError
from coopery.image import Assembled, encode
from coopery.layer import TAR, TAR_GZIP, Layer
from coopery.oci import media
from coopery.oci.archive import read_archive, read_layout, write_oci_archive
from coopery.oci.docker_archive import write_docker_archive
from coopery.oci.layout import write_layout
from coopery.oci.validate import validate

AMD, ARM = "linux/amd64", "linux/arm64"
Store = Callable[..., Layer]
Assemble = Callable[..., Assembled]


def put(root: Path, document: dict[str, Any], media_type: str, **more: Any) -> dict[str, Any]:
    """Write a JSON blob into a layout; returns its descriptor."""
    data = encode(document)
    digest = _digest.of_bytes(data)
    (root / "blobs" / "sha256" / digest[7:]).write_bytes(data)
    return {"mediaType": media_type, "digest": digest, "size": len(data), **more}


def write_index(root: Path, *entries: dict[str, Any]) -> None:
    (root / "index.json").write_bytes(encode({"schemaVersion": 2, "manifests": list(entries)}))


def index_of(root: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((root / "index.json").read_bytes())["manifests"]
    return entries


def tarred(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(folder, ".")
    return buffer.getvalue()


def same(found: Assembled, expected: Assembled, blobs: BlobStore) -> bool:
    """Config, layers and all bytes of the layers."""
    validate(found)
    for layer in found.layers:
        assert _digest.of_bytes(blobs.path(layer.digest).read_bytes()) == layer.digest
    return (found.config, found.layers) == (expected.config, tuple(_named(expected)))


def _named(image: Assembled) -> Iterator[Layer]:
    for number, layer in enumerate(image.layers):
        yield Layer(layer.diff_id, layer.digest, layer.size, layer.media_type, f"layer {number}")


@pytest.mark.parametrize("tag", ["v1", ""])
def test_a_layout_comes_in_as_it_is(layout: Path, image: Assembled, ours: BlobStore, tag: str) -> None:
    digest, found = read_layout(layout, tag, AMD, ours)
    assert digest == index_of(layout)[0]["digest"]
    assert same(found, image, ours)


def test_a_second_time_nothing_is_read_but_json(layout: Path, ours: BlobStore) -> None:
    first = read_layout(layout, "v1", AMD, ours)
    for layer in first[1].layers:
        (layout / "blobs" / "sha256" / layer.digest[7:]).unlink()
    assert read_layout(layout, "v1", AMD, ours) == first


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstd"])
def test_an_oci_archive_however_compressed(
    layout: Path, image: Assembled, ours: BlobStore, tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(pack(tarred(layout)))
    _, found = read_archive(path, "v1", AMD, ours)
    assert same(found, image, ours)
    assert not list((tmp_path / "ours" / "staging").iterdir())


def test_what_is_written_is_read(image: Assembled, blobs: BlobStore, ours: BlobStore, tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    digest = write_oci_archive(image, blobs, path, "v1")
    found_digest, found = read_archive(path, "v1", AMD, ours)
    assert found_digest == digest
    assert same(found, image, ours)


def test_a_docker_archive_is_written_and_read(
    image: Assembled, blobs: BlobStore, ours: BlobStore, tmp_path: Path
) -> None:
    path = tmp_path / "image.tar"
    assert write_docker_archive(image, blobs, path, "team/train:v1") == image.image_id
    for tag in ("", "v1", "team/train:v1"):
        digest, found = read_archive(path, tag, AMD, ours)
        assert digest == found.image_id == image.image_id
        assert [(layer.digest, layer.media_type) for layer in found.layers] == [
            (layer.diff_id, TAR) for layer in image.layers
        ]


def test_archives_have_equal_bytes(image: Assembled, blobs: BlobStore, tmp_path: Path) -> None:
    paths = [tmp_path / name / "image.tar" for name in ("a", "b")]
    for path in paths:
        write_oci_archive(image, blobs, path, "v1")
        write_docker_archive(image, blobs, path.with_suffix(".docker"), "x:v1")
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].with_suffix(".docker").read_bytes() == paths[1].with_suffix(".docker").read_bytes()
    with tarfile.open(paths[0]) as archive:
        assert archive.getnames() == sorted(archive.getnames())
        assert {(m.uid, m.gid, m.mtime, m.uname) for m in archive.getmembers()} == {(0, 0, 0, "")}


def test_a_failed_write_leaves_the_file_that_was_there(image: Assembled, blobs: BlobStore, tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    path.write_text("precious")
    blobs.path(image.layers[0].digest).write_bytes(b"damaged")
    with pytest.raises(IntegrityError):
        write_oci_archive(image, blobs, path, "v1")
    with pytest.raises(IntegrityError):
        write_docker_archive(image, blobs, path, "x:v1")
    assert path.read_text() == "precious"
    assert sorted(name.name for name in tmp_path.iterdir()) == ["home", "image.tar"]


@pytest.mark.parametrize("tag", ["Team/train:v1", "-x", "a b", "x:", "x:-v", "a//b", "x:" + "v" * 129, "x\n", "@x"])
def test_references_that_docker_refuses(image: Assembled, blobs: BlobStore, tmp_path: Path, tag: str) -> None:
    with pytest.raises(UsageError):
        write_docker_archive(image, blobs, tmp_path / "image.tar", tag)


# --- which image -----------------------------------------------------------------------------------


@pytest.fixture
def many(store: Store, assemble: Assemble, blobs: BlobStore, tmp_path: Path) -> Path:
    """A layout whose tag v1 is an index for two platforms, with an attestation, in another index."""
    root = tmp_path / "many"
    for platform in (AMD, ARM):
        write_layout(assemble([store([(platform, b"x")])], platform), blobs, root, platform.replace("/", "-"))
    entries = [{k: v for k, v in entry.items() if k != "annotations"} for entry in index_of(root)]
    unknown = {**entries[0], "platform": {"architecture": "unknown", "os": "unknown"}}
    inner = put(root, {"schemaVersion": 2, "manifests": [unknown, *entries]}, media.INDEX)
    outer = put(root, {"schemaVersion": 2, "manifests": [inner]}, media.INDEX)
    write_index(root, {**outer, "annotations": {media.REF_NAME: "v1", media.CONTAINERD_NAME: "docker.io/x/y:v1"}})
    return root


@pytest.mark.parametrize("platform", [AMD, ARM])
@pytest.mark.parametrize("tag", ["", "v1", "docker.io/x/y:v1"])
def test_the_platform_is_chosen_from_nested_indexes(many: Path, ours: BlobStore, platform: str, tag: str) -> None:
    _, found = read_layout(many, tag, platform, ours)
    assert found.document["architecture"] == platform.partition("/")[2]


def test_a_platform_that_is_not_there_is_named_with_those_that_are(many: Path, ours: BlobStore) -> None:
    with pytest.raises(BaseError, match="for linux/s390x; there is linux/amd64, linux/arm64, unknown"):
        read_layout(many, "v1", "linux/s390x", ours)


def test_a_tag_that_is_not_there_is_named_with_those_that_are(many: Path, ours: BlobStore) -> None:
    with pytest.raises(BaseError, match="no image with the tag 'v2'") as seen:
        read_layout(many, "v2", AMD, ours)
    assert "v1" in seen.value.remedy


def test_several_images_need_a_tag(store: Store, assemble: Assemble, blobs: BlobStore, tmp_path: Path) -> None:
    for text in ("a", "b"):
        write_layout(assemble([store([(text, b"")])]), blobs, tmp_path / "two", text)
    with pytest.raises(BaseError, match="several images") as seen:
        read_layout(tmp_path / "two", "", AMD, blobs)
    assert "there is a, b" in str(seen.value)
    assert read_layout(tmp_path / "two", "b", AMD, blobs)


def test_without_a_platform_in_the_index_the_config_tells(layout: Path, ours: BlobStore) -> None:
    entry = index_of(layout)[0]
    del entry["platform"]
    write_index(layout, entry)
    assert read_layout(layout, "v1", AMD, ours)
    with pytest.raises(BaseError, match="there is linux/amd64"):
        read_layout(layout, "v1", ARM, ours)


def test_indexes_without_end_are_refused(layout: Path, ours: BlobStore) -> None:
    entry = index_of(layout)[0]
    for _ in range(8):
        entry = put(layout, {"schemaVersion": 2, "manifests": [entry]}, media.INDEX)
    write_index(layout, entry)
    with pytest.raises(IntegrityError, match="nested"):
        read_layout(layout, "", AMD, ours)
    wide = [put(layout, {"schemaVersion": 2, "manifests": [], "n": n}, media.INDEX) for n in range(300)]
    write_index(layout, *wide)
    with pytest.raises(IntegrityError, match="too many"):
        read_layout(layout, "", AMD, ours)


# --- damage ----------------------------------------------------------------------------------------


def test_every_damaged_blob_is_refused_and_not_kept(layout: Path, ours: BlobStore) -> None:
    for path in sorted((layout / "blobs" / "sha256").iterdir()):
        good = path.read_bytes()
        flipped = good[: len(good) // 2] + bytes([good[len(good) // 2] ^ 1]) + good[len(good) // 2 + 1 :]
        for bad in (b"", good[:-1], good + b"\0", flipped):
            path.write_bytes(bad)
            with pytest.raises(IntegrityError):
                read_layout(layout, "v1", AMD, ours)
            assert ours.size(_digest.Digest(f"sha256:{path.name}")) is None
        path.unlink()
        with pytest.raises(BaseError, match=path.name):
            read_layout(layout, "v1", AMD, ours)
        path.write_bytes(good)
        shutil.rmtree(ours.path(_digest.Digest(f"sha256:{path.name}")).parents[2], ignore_errors=True)
    assert read_layout(layout, "v1", AMD, ours)


def test_a_diff_id_that_is_not_the_contents_is_refused(
    layout: Path, image: Assembled, ours: BlobStore, blobs: BlobStore
) -> None:
    config = image.document
    config["rootfs"]["diff_ids"][1] = "sha256:" + "0" * 64
    bad = put(layout, config, media.CONFIG)
    manifest = json.loads((layout / "blobs/sha256" / index_of(layout)[0]["digest"][7:]).read_bytes())
    entry = put(layout, {**manifest, "config": bad}, media.MANIFEST)
    write_index(layout, entry)
    with pytest.raises(IntegrityError, match="diff id"):
        read_layout(layout, "", AMD, ours)
    assert ours.size(image.layers[1].digest) is None


def test_layers_and_diff_ids_of_different_number(layout: Path, image: Assembled, ours: BlobStore) -> None:
    manifest = json.loads((layout / "blobs/sha256" / index_of(layout)[0]["digest"][7:]).read_bytes())
    write_index(layout, put(layout, {**manifest, "layers": manifest["layers"][:2]}, media.MANIFEST))
    with pytest.raises(IntegrityError, match="2 layers, but the config has 3 diff ids"):
        read_layout(layout, "", AMD, ours)


def test_docker_media_types_are_read_as_ours(layout: Path, image: Assembled, ours: BlobStore) -> None:
    manifest = json.loads((layout / "blobs/sha256" / index_of(layout)[0]["digest"][7:]).read_bytes())
    manifest["mediaType"] = media.DOCKER_MANIFEST
    manifest["config"]["mediaType"] = media.DOCKER_CONFIG
    manifest["layers"][1]["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    write_index(layout, put(layout, manifest, media.DOCKER_MANIFEST))
    assert read_layout(layout, "", AMD, ours)[1].layers[1].media_type == TAR_GZIP


@pytest.mark.parametrize("name", ["oci-layout", "index.json"])
def test_what_makes_no_layout(layout: Path, ours: BlobStore, name: str) -> None:
    (layout / name).write_text('{"imageLayoutVersion": "2.0.0"}')
    with pytest.raises(IntegrityError, match=name):
        read_layout(layout, "v1", AMD, ours)
    (layout / name).unlink()
    with pytest.raises(BaseError, match=name):
        read_layout(layout, "v1", AMD, ours)


def test_pipes_and_devices_in_place_of_files_do_not_hang(layout: Path, ours: BlobStore, tmp_path: Path) -> None:
    blob = layout / "blobs" / "sha256" / index_of(layout)[0]["digest"][7:]
    blob.unlink()
    os.mkfifo(blob)
    with pytest.raises(BaseError, match="expected a regular file"):
        read_layout(layout, "v1", AMD, ours)
    (layout / "index.json").unlink()
    (layout / "index.json").symlink_to("/dev/zero")
    with pytest.raises(BaseError, match="expected a regular file"):
        read_layout(layout, "v1", AMD, ours)
    with pytest.raises(BaseError):
        read_archive(tmp_path, "", AMD, ours)
    with pytest.raises(BaseError, match="No such file"):
        read_archive(tmp_path / "absent", "", AMD, ours)


def test_the_new_form_is_read_as_oci(image: Assembled, layout: Path, ours: BlobStore, tmp_path: Path) -> None:
    manifest = [{"Config": f"blobs/sha256/{image.image_id[7:]}", "RepoTags": ["x:v1"], "Layers": ["nonsense"]}]
    (layout / "manifest.json").write_text(json.dumps(manifest))
    path = tmp_path / "saved.tar"
    path.write_bytes(tarred(layout))
    assert same(read_archive(path, "v1", AMD, ours)[1], image, ours)
