"""Images out of a real registry: verified, resumed, shared with what is here, and instead of a build."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from coopery import digest as _digest
from coopery.definition import Target
from coopery.errors import BaseError, IntegrityError, NetworkError, NotFound, UsageError
from coopery.events import BuildStarted, StageStarted, Warned
from coopery.image import encode
from coopery.layer import TAR, TAR_GZIP
from coopery.oci import media
from coopery.oci.layout import Layout
from coopery.oci.validate import validate_layout
from coopery.registry.connected import connected
from coopery.registry.reference import parse

pytestmark = [pytest.mark.needs("registry"), pytest.mark.processes]


def data_of(registry: Any, digest: str) -> Path:
    """Where the registry keeps a blob."""
    name = digest.partition(":")[2]
    found: Path = registry.storage / "docker/registry/v2/blobs/sha256" / name[:2] / name / "data"
    return found


def layers_of(builder: Any, image: Any) -> Any:
    return Layout(builder.home.images, builder.home.staging).open(image.digest, image.platform)[1].layers


@pytest.fixture
def pushed(registry, home, define, request):
    """A builder, its image, and where it was pushed to: a repository of this test alone."""
    builder = home("maker")
    image = builder.build(define(a=1, b=2, c=3))
    name = "".join(char if char.isalnum() else "-" for char in request.node.name.lower()).strip("-")
    return builder, image, builder.push(image, f"{registry.host}/pull/{name}:v1")


def test_into_an_empty_home(pushed, home):
    _, image, placed = pushed
    builder = home()
    pulled = builder.pull(placed.reference)
    assert (pulled.id, pulled.platform, pulled.layers) == (image.id, image.platform, image.layers)
    assert (pulled.key, pulled.generation) == ("", 0)
    assert pulled.reference == f"oci:{builder.home.images}:{placed.reference}"
    assert builder.image(pulled.reference) == pulled
    (read,) = validate_layout(builder.home.images)
    assert read.image_id == image.id
    assert {layer.media_type for layer in read.layers} == {TAR_GZIP}, "as they came"


def test_by_digest_and_in_every_spelling(pushed, home):
    _, image, placed = pushed
    builder = home()
    name = placed.reference.rpartition(":")[0]
    for spelling in (f"{name}@{placed.digest}", f"docker://{placed.reference}", f"registry://{placed.reference}"):
        assert builder.pull(spelling).id == image.id
    with pytest.raises(UsageError):
        builder.pull("localhost:5000/Upper")


def test_a_second_pull_fetches_two_documents(pushed, home, registry, asked):
    _, _, placed = pushed
    builder = home()
    builder.pull(placed.reference)
    requests = asked(registry)
    builder.pull(placed.reference)
    assert len(set(requests.of("GET", path="/blobs/"))) == 1, "the config"
    assert len(set(requests.of("GET", path="/manifests/"))) == 1


def test_plain_layers_that_are_here_are_used(pushed, registry, asked):
    builder, image, placed = pushed
    for layer in layers_of(builder, image):
        assert layer.media_type == TAR
    for folder in ("compressed-gzip", "diff-ids"):
        for note in (builder.home.images / folder).iterdir():
            note.unlink()
    requests = asked(registry)
    pulled = builder.pull(placed.reference)
    assert len(set(requests.of("GET", path="/blobs/"))) == 1, "the config"
    assert pulled.digest == image.digest, "the same layers, so the same manifest here"


def test_a_pull_goes_on_where_it_failed(home, define, registry, asked):
    builder = home("maker")
    image = builder.build(define(**{name: number for number, name in enumerate("abcdefgh", 30)}))
    placed = builder.push(image, f"{registry.host}/pull/goes/on:v1")
    with connected(parse(placed.reference), builder.settings, builder.emit) as repository:
        layers = json.loads(repository.manifest("v1")[1])["layers"]
    last = min(layers, key=lambda layer: (layer["size"], -int(layer["digest"][7:], 16)))["digest"]
    hidden = data_of(registry, last)
    hidden.rename(hidden.with_name("hidden"))
    other = home()
    with pytest.raises((BaseError, NetworkError), match=last):
        other.pull(placed.reference)
    assert not (other.home.images / "index.json").exists(), "nothing is listed"
    hidden.with_name("hidden").rename(hidden)
    requests = asked(registry)
    assert other.pull(placed.reference).id == image.id
    fetched = set(requests.of("GET", path="/blobs/"))
    assert any(last in line for line in fetched)
    assert len(fetched) <= 1 + 4, "config, the one that failed, and at most three that were on their way then"


@pytest.mark.parametrize("change", ["flipped", "longer", "shorter"])
def test_damaged_bytes_are_never_kept(pushed, home, registry, change):
    builder, image, placed = pushed
    with connected(parse(placed.reference), builder.settings, builder.emit) as repository:
        digest = json.loads(repository.manifest("v1")[1])["layers"][0]["digest"]
    path = data_of(registry, digest)
    sound = path.read_bytes()
    damaged = {"flipped": sound[:999] + bytes([sound[999] ^ 1]) + sound[1000:], "longer": sound + b"x"}
    path.write_bytes(damaged.get(change, sound[:-1]))
    other = home()
    try:
        with pytest.raises((IntegrityError, NetworkError)):
            other.pull(placed.reference)
    finally:
        path.write_bytes(sound)
    assert other.home.blobs.size(_digest.parse(digest)) is None
    assert other.pull(placed.reference).id == image.id


def test_an_index_for_several_platforms(pushed, home, registry, define):
    builder, image, placed = pushed
    arm = builder.build(evolve(define(a=1), target=Target("linux/arm64")))
    name = placed.reference.rpartition(":")[0]
    other = builder.push(arm, f"{name}:arm")
    with connected(parse(name), builder.settings, builder.emit) as repository:
        entries = [
            {**repository.manifest(digest)[0].to_json(), "platform": {"os": "linux", "architecture": architecture}}
            for digest, architecture in ((placed.digest, "amd64"), (other.digest, "arm64"))
        ]
        index = encode({"schemaVersion": 2, "mediaType": media.INDEX, "manifests": entries})
        repository.put_manifest(index, media.INDEX, "both")
    fresh = home()
    assert fresh.pull(f"{name}:both").id == image.id
    assert fresh.pull(f"{name}:both", "linux/arm64").id == arm.id
    with pytest.raises(BaseError, match="linux/s390x; there is linux/amd64, linux/arm64"):
        fresh.pull(f"{name}:both", "linux/s390x")


def test_a_single_image_for_another_platform_is_refused(pushed, home):
    _, _, placed = pushed
    with pytest.raises(BaseError, match="no image for linux/arm64; there is linux/amd64"):
        home().pull(placed.reference, "linux/arm64")


def test_what_is_not_there(pushed, home):
    _, _, placed = pushed
    builder = home()
    with pytest.raises((NetworkError, BaseError), match="absent"):
        builder.pull(placed.reference.replace(":v1", ":absent"))
    with pytest.raises(NotFound):
        builder.image(f"oci:{builder.home.images}:{placed.reference}")


def test_a_pulled_image_is_exported_and_pushed_on(pushed, home, registry, tmp_path):
    _, image, placed = pushed
    builder = home()
    pulled = builder.pull(placed.reference)
    for to in (
        f"oci:{tmp_path / 'layout'}",
        f"oci-archive:{tmp_path / 'a.tar'}",
        f"docker-archive:{tmp_path / 'd.tar'}",
    ):
        assert builder.export(pulled, to).startswith(to)
    (read,) = validate_layout(tmp_path / "layout")
    assert read.image_id == image.id
    on = builder.push(pulled, f"{registry.host}/pull/on/from/there")
    assert on.digest == placed.digest, "layers go on as they came"
    assert on.reference.endswith(f":{image.id[7:27]}")


# --- instead of a build ---------------------------------------------------------------------------


def test_an_image_that_a_registry_has_is_not_built(registry, home, define, tmp_path, events):
    shared = f"sqlite:{tmp_path / 'shared.sqlite'}"
    maker = home("maker", cache=shared)
    image = maker.build(define(a=1, b=21))
    maker.push(image, f"{registry.host}/instead:v1")
    maker.home.root.rename(tmp_path / "a disk of its own")  # or it would be brought from there
    events.clear()
    other = home("other", cache=shared)
    found = other.build(define(a=1, b=21))
    assert (found.id, found.key) == (image.id, image.key)
    assert found.place == f"oci:{other.home.images}"
    stages = {event.stage for event in events if isinstance(event, StageStarted)}
    assert stages == {"pull"}, "no base, no step, no lock"
    events.clear()
    assert other.build(define(a=1, b=21)).hit
    assert not any(isinstance(event, BuildStarted | StageStarted) for event in events)


def test_a_registry_that_lost_it_is_warned_of_and_the_image_built(registry, home, define, tmp_path, events):
    shared = f"sqlite:{tmp_path / 'shared.sqlite'}"
    maker = home("maker", cache=shared)
    image = maker.build(define(a=1, b=22))
    placed = maker.push(image, f"{registry.host}/lost:v1")
    with connected(parse(placed.reference), maker.settings, maker.emit) as repository:
        repository.delete_manifest(placed.digest)
    maker.home.root.rename(tmp_path / "a disk of its own")  # or it would be brought from there
    events.clear()
    built = home("other", cache=shared).build(define(a=1, b=22))
    assert built.id == image.id
    assert not built.hit
    (warning,) = [event.message for event in events if isinstance(event, Warned)]
    assert f"registry://{registry.host}/lost is recorded to have the image" in warning


def test_one_that_gives_another_image_is_not_believed(registry, home, define, tmp_path, events):
    shared = f"sqlite:{tmp_path / 'shared.sqlite'}"
    maker = home("maker", cache=shared)
    image, other_image = maker.build(define(a=1, b=23)), maker.build(define(a=1, b=24))
    placed = maker.push(other_image, f"{registry.host}/other:v1")
    from coopery.records import Placement

    lie = Placement(placed.place, placed.digest, placed.size, placed.reference)
    maker.ledger.record(image.id, lie)
    maker.home.root.rename(tmp_path / "a disk of its own")  # or it would be brought from there
    built = home("other", cache=shared).build(define(a=1, b=23))
    assert built.id == image.id
    assert any("recorded as" in event.message for event in events if isinstance(event, Warned))


@pytest.mark.needs("skopeo")
def test_skopeo_reads_a_pulled_image(pushed, home):
    _, image, placed = pushed
    pulled = home().pull(placed.reference)
    told = json.loads(subprocess.check_output(["skopeo", "inspect", "--config", pulled.reference]))
    assert told["config"]["Env"] == ["LAYERS=a b c"]
    raw = subprocess.check_output(["skopeo", "inspect", "--raw", "--config", pulled.reference])
    assert _digest.of_bytes(raw) == image.id
