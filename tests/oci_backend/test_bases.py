"""Bases without an engine: by which door each kind comes in, and what is refused."""

from __future__ import annotations

import subprocess
import tarfile
from io import BytesIO

import pytest
from attrs import evolve

from coopery.definition import (
    ArchiveBase,
    ContextBase,
    DebianBase,
    DockerfileBase,
    Environment,
    LayoutBase,
    RootfsBase,
    ScratchBase,
)
from coopery.errors import BaseError, IntegrityError, UnsupportedError
from coopery.image import Assembled
from coopery.layer import Entry
from coopery.oci.archive import write_oci_archive
from coopery.oci.layout import Layout
from coopery.oci.validate import validate
from coopery.seal import seal
from coopery.sealed import SealedBase
from coopery_oci.backend import OciBackend

AMD64 = "linux/amd64"


@pytest.fixture
def image(workshop, make) -> Assembled:
    return make.image([make.layer(workshop, [Entry("opt", "directory", 0o755)])], {"User": "app"}, on=AMD64)


def fetch(workshop, base, root, platform=AMD64):
    snapshot = OciBackend(workshop).fetch_base(seal(Environment(base, root=root)).base, platform)
    if snapshot.layers:
        validate(Assembled(snapshot.config, snapshot.layers))
    assert all(workshop.blobs.size(layer.digest) == layer.size for layer in snapshot.layers)
    return snapshot


def test_scratch(workshop, tmp_path):
    snapshot = fetch(workshop, ScratchBase(), tmp_path, "linux/arm64")
    assert snapshot.layers == ()
    assert snapshot.digest == snapshot.id
    assert b'"architecture":"arm64"' in snapshot.config


def test_a_layout_is_known_by_its_manifest(workshop, make, image, tmp_path):
    there = make.shop(tmp_path / "other", [])
    (layer,) = image.layers
    there.blobs.put(workshop.blobs.read(layer.digest))
    layout = Layout(there.home / "images", there.staging)
    added = layout.add(image, "v1")
    snapshot = fetch(workshop, LayoutBase("other/images", "v1"), tmp_path)
    assert snapshot.digest == added.digest
    assert snapshot.id == image.image_id


def test_a_layout_that_changed_since_the_key(workshop, image, tmp_path):
    layout = Layout(workshop.home / "images", workshop.staging)
    layout.add(image, "v1")
    sealed = seal(Environment(LayoutBase("home/images", "v1"), root=tmp_path)).base
    other = evolve(image, config=image.config.replace(b'"User":"app"', b'"User":"oth"'))
    layout.add(other, "v1")
    with pytest.raises(IntegrityError, match="changed since the key was made"):
        OciBackend(workshop).fetch_base(sealed, AMD64)


def test_an_archive(workshop, image, tmp_path):
    write_oci_archive(image, workshop.blobs, tmp_path / "base.tar", "v1")
    assert fetch(workshop, ArchiveBase("base.tar"), tmp_path).id == image.image_id


def test_an_archive_that_changed_since_the_key(workshop, image, tmp_path):
    write_oci_archive(image, workshop.blobs, tmp_path / "base.tar", "v1")
    sealed = seal(Environment(ArchiveBase("base.tar"), root=tmp_path)).base
    write_oci_archive(image, workshop.blobs, tmp_path / "base.tar", "v2")
    with pytest.raises(IntegrityError, match="changed since the key was made"):
        OciBackend(workshop).fetch_base(sealed, AMD64)


def test_an_archive_for_another_platform(workshop, image, tmp_path):
    write_oci_archive(image, workshop.blobs, tmp_path / "base.tar", "v1")
    with pytest.raises(BaseError, match="linux/amd64") as caught:
        fetch(workshop, ArchiveBase("base.tar"), tmp_path, "linux/arm64")
    assert "linux/arm64" in str(caught.value)


def test_a_root_file_system(workshop, tmp_path):
    with tarfile.open(tmp_path / "rootfs.tar", "w") as tar:
        info = tarfile.TarInfo("etc/os-release")
        info.size = 4
        tar.addfile(info, BytesIO(b"ID=x"))
    snapshot = fetch(workshop, RootfsBase("rootfs.tar"), tmp_path, "linux/arm64")
    assert OciBackend(workshop).files(snapshot).read("/etc/os-release", 9) == b"ID=x"


def test_debian_packages_come_from_their_source(make, image, tmp_path, events):
    asked = []

    class Source:
        def fetch(self, base: SealedBase, platform: str) -> Assembled:
            asked.append((base.base, platform))
            return image

    workshop = make.shop(tmp_path / "home", events, lambda name: Source() if name == "debian" else None)
    base = DebianBase("bookworm", ("libc6",))
    assert OciBackend(workshop).fetch_base(SealedBase(base), AMD64).id == image.image_id
    assert asked == [(base, AMD64)]
    with pytest.raises(BaseError, match="it is for linux/amd64, and the target is linux/arm64"):
        OciBackend(workshop).fetch_base(SealedBase(base), "linux/arm64")


@pytest.mark.parametrize("base", [DockerfileBase("Dockerfile"), ContextBase(".")])
def test_a_dockerfile_is_refused(workshop, base):
    with pytest.raises(UnsupportedError, match="lacks the ability 'dockerfile'"):
        OciBackend(workshop).fetch_base(SealedBase(base), AMD64)


@pytest.mark.needs("skopeo")
def test_what_is_materialized_is_read_by_others(workshop, image, tmp_path):
    backend = OciBackend(workshop)
    placed = backend.materialize(backend.fetch_base(SealedBase(ScratchBase()), AMD64), image, image.layers, "v1")
    assert placed.reference == f"oci:{workshop.home}/images:v1"
    copy = ["skopeo", "copy", "--quiet", placed.reference, f"oci-archive:{tmp_path}/copy.tar:v1"]
    subprocess.run(copy, check=True, capture_output=True)
    assert fetch(workshop, ArchiveBase("copy.tar", "v1"), tmp_path).id == image.image_id
