"""Images of ours in a real containers-storage: the id, thinness, asking, removing."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import pytest
from attrs import evolve

from coopery.backend import Workshop
from coopery.digest import Digest, hex_of
from coopery.errors import NotFound, UsageError
from coopery.image import Assembled
from coopery.layer import TAR_GZIP, TAR_ZSTD
from coopery.oci.compression import Compression
from coopery.oci.compressor import deflating
from coopery.place import Presence, RunRequest
from coopery_podman import podman
from coopery_podman.backend import PodmanBackend
from coopery_podman.storage import locate

pytestmark = [pytest.mark.needs("buildah"), pytest.mark.processes]


def has(image: Digest) -> bool:
    """What podman itself says."""
    return podman.exists(hex_of(image)) is Presence.YES


def put(backend: PodmanBackend, make: SimpleNamespace, image: Assembled, tag: str) -> Digest:
    placed = backend.materialize(make.snapshot(image), image, (), tag)
    assert (placed.place, placed.reference) == ("podman:", f"localhost/coopery:{tag}")
    return placed.digest


def one_more(make: SimpleNamespace, workshop: Workshop, image: Assembled, name: str) -> Assembled:
    """*image* with one small layer on top."""
    return make.image([*image.layers, make.layer(workshop, [make.text(f"opt/{name}", name.encode())])])  # type: ignore[no-any-return]


def test_its_id_is_our_configs_digest_and_its_name_ours(
    backend: PodmanBackend, session_shop: Workshop, make: SimpleNamespace, small: Assembled
) -> None:
    image = one_more(make, session_shop, small, "named")
    digest = put(backend, make, image, "named-1")
    assert has(image.image_id)
    assert backend.place.exists(image.image_id, digest) is Presence.YES
    argv = ["podman", "image", "inspect", "--format", "{{.Id}} {{.Digest}}", "localhost/coopery:named-1"]
    assert subprocess.check_output(argv, text=True).split() == [hex_of(image.image_id), digest]
    assert put(backend, make, image, "named-1") == digest  # again


def test_layers_that_the_storage_has_are_not_read(
    backend: PodmanBackend, session_shop: Workshop, make: SimpleNamespace, small: Assembled
) -> None:
    put(backend, make, small, "thin-1")
    image = one_more(make, session_shop, small, "thin")
    path = session_shop.blobs.path(small.layers[0].digest)
    kept = path.rename(path.with_suffix(".away"))
    try:
        put(backend, make, image, "thin-2")
    finally:
        kept.rename(path)
    assert has(image.image_id)


@pytest.mark.parametrize(("media_type", "form"), [(TAR_GZIP, "gzip"), (TAR_ZSTD, "zstd")])
def test_compressed_layers_of_a_base_go_in_as_they_are(
    backend: PodmanBackend, session_shop: Workshop, make: SimpleNamespace, media_type: str, form: Compression
) -> None:
    plain = make.layer(session_shop, [make.text(f"opt/{form}", form.encode() * 999)])
    data = session_shop.blobs.read(plain.digest)
    with session_shop.blobs.create() as writer, deflating(writer, form, len(data)) as sink:
        sink.write(data)
    assert writer.digest is not None
    image = make.image([evolve(plain, digest=writer.digest, size=writer.size, media_type=media_type)])
    digest = put(backend, make, image, f"compressed-{form}")
    assert backend.place.exists(image.image_id, digest) is Presence.YES


def test_an_image_with_nothing_in_it(backend: PodmanBackend, make: SimpleNamespace) -> None:
    image = make.image([])
    assert backend.place.exists(image.image_id, put(backend, make, image, "nothing")) is Presence.YES


def test_removed_by_us_and_behind_our_back(
    backend: PodmanBackend, session_shop: Workshop, make: SimpleNamespace, small: Assembled
) -> None:
    image = one_more(make, session_shop, small, "removed")
    digest = put(backend, make, image, "removed-1")
    subprocess.run(["podman", "tag", "localhost/coopery:removed-1", "localhost/mine:1"], check=True)
    assert backend.place.remove(image.image_id, digest)
    assert not has(image.image_id)
    assert backend.place.exists(image.image_id, digest) is Presence.NO
    assert not backend.place.remove(image.image_id, digest)

    put(backend, make, image, "removed-2")
    record = locate(session_shop).image(hex_of(image.image_id)) or {}
    assert record["names"] == ["localhost/coopery:removed-2"]
    subprocess.run(["podman", "rmi", "localhost/coopery:removed-2"], check=True, capture_output=True)
    assert backend.place.exists(image.image_id, digest) is Presence.NO
    put(backend, make, image, "removed-2")
    assert backend.place.exists(image.image_id, digest) is Presence.YES
    put(backend, make, image, "removed-3")
    record = locate(session_shop).image(hex_of(image.image_id)) or {}
    assert sorted(record["names"]) == ["localhost/coopery:removed-2", "localhost/coopery:removed-3"]


def test_the_files_and_podman_agree(backend: PodmanBackend, session_shop: Workshop) -> None:
    located = locate(session_shop)
    listed = subprocess.check_output(["podman", "images", "--all", "--quiet", "--no-trunc"], text=True).split()
    assert {str(record["id"]) for record in located.images()} == {hex_of(Digest(name)) for name in listed}
    assert all(located.image(hex_of(Digest(name))) for name in listed)


@pytest.mark.parametrize("tag", ["", "-x", "a b", "a\nb", "a:b", "a/../b", "é", "x" * 200])
def test_tags_that_are_none_are_refused_before_anything_is_put(
    backend: PodmanBackend, make: SimpleNamespace, session_shop: Workshop, tag: str
) -> None:
    image = make.image([make.layer(session_shop, [make.text("opt/hostile", b"x")])])
    with pytest.raises(UsageError):
        backend.materialize(make.snapshot(image), image, (), tag)
    assert not has(image.image_id)


def test_an_image_that_is_not_here_cannot_be_run(backend: PodmanBackend) -> None:
    with pytest.raises(NotFound, match="no image sha256:00"):
        backend.place.run(Digest("sha256:" + "0" * 64), RunRequest(("true",)))
