"""Images into a real registry: only what is missing travels, and what other tools see there is our image."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from coopery import Builder, Environment
from coopery.errors import CooperyError, IntegrityError, NetworkError, UsageError
from coopery.events import StageFinished
from coopery.image import encode
from coopery.layer import TAR_GZIP, TAR_ZSTD
from coopery.oci.layout import Layout
from coopery.oci.validate import validate_layout
from coopery.place import Presence
from coopery.places.registry import RegistryPlace
from coopery.pushing import destination
from coopery.records import placement, placement_name
from coopery.registry.connected import connected
from coopery.registry.reference import parse

pytestmark = [pytest.mark.needs("registry"), pytest.mark.processes]

TYPES = {"gzip": TAR_GZIP, "zstd": TAR_ZSTD}


def manifest_of(builder: Builder, reference: str) -> dict[str, Any]:
    with connected(parse(reference), builder.settings, builder.emit) as registry:
        document: dict[str, Any] = json.loads(registry.manifest(parse(reference).version)[1])
    return document


def summary(events: list[Any], stage: str) -> str:
    return next(event.detail for event in reversed(events) if isinstance(event, StageFinished) and event.stage == stage)


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_what_is_pushed_is_the_same_image(registry, home, define, compression, tmp_path):
    builder = home()
    image = builder.build(define(a=1, b=2))
    placed = builder.push(image, f"{registry.host}/same/{compression}:v1", compression=compression)
    assert placed.reference == f"{registry.host}/same/{compression}:v1"
    assert placed.place == f"registry://{registry.host}/same/{compression}"
    manifest = manifest_of(builder, placed.reference)
    assert manifest["config"]["digest"] == image.id, "the image id is the same everywhere"
    assert {layer["mediaType"] for layer in manifest["layers"]} == {TYPES[compression]}
    assert placed.size == len(encode(manifest)) + sum(
        part["size"] for part in (manifest["config"], *manifest["layers"])
    )
    other = home("other")
    pulled = other.pull(placed.reference)
    assert (pulled.id, pulled.layers) == (image.id, image.layers)
    validate_layout(other.home.images)


def test_the_settings_say_how_layers_are_compressed(registry, home, define):
    builder = home(compression="zstd")
    placed = builder.push(builder.build(define(a=1)), f"{registry.host}/settings:v1")
    assert {layer["mediaType"] for layer in manifest_of(builder, placed.reference)["layers"]} == {TAR_ZSTD}


def test_the_tag_comes_from_the_key(registry, home, define):
    builder = home()
    image = builder.build(define(a=1))
    assert builder.push(image, f"{registry.host}/tagged").reference == f"{registry.host}/tagged:{image.key[:20]}"
    again = builder.build(define(a=1), rebuild=True)
    assert builder.push(again, f"{registry.host}/tagged").reference.endswith(f":{image.key[:20]}-g2")


def test_a_second_push_sends_nothing(registry, home, define, asked, events):
    builder = home()
    image = builder.build(define(a=1, b=2, c=3))
    first = builder.push(image, f"{registry.host}/twice:v1")
    requests = asked(registry)
    assert builder.push(image, f"{registry.host}/twice:v2").digest == first.digest
    assert requests.of("POST", "PATCH", "PUT", path="/blobs/") == []
    assert requests.of("PUT") == ["PUT /v2/twice/manifests/v2"]
    assert requests.stored == 0
    assert summary(events, "push").startswith("0 blobs sent, 0 mounted, 4 there already, 0.0 MB")


def test_one_changed_layer_is_all_that_travels(registry, home, define, asked):
    builder = home()
    builder.push(builder.build(define(a=1, b=2, c=3)), f"{registry.host}/changed:v1")
    image = builder.build(define(a=1, b=2, c=4))
    requests = asked(registry)
    placed = builder.push(image, f"{registry.host}/changed:v2")
    manifest = manifest_of(builder, placed.reference)
    changed = manifest["layers"][2]["size"]
    small = len(encode(manifest)) + manifest["config"]["size"]
    assert changed <= requests.stored - small <= 1.05 * changed
    assert len(requests.of("POST", path="/blobs/uploads/")) == 2, "the layer and the config"


def test_another_repository_is_mounted_from(registry, home, define, asked, events):
    builder = home()
    image = builder.build(define(a=1, b=2, c=5))
    builder.push(image, f"{registry.host}/mount/from:v1")
    requests = asked(registry)
    builder.push(image, f"{registry.host}/mount/into:v1")
    assert requests.stored < 2000, "a manifest at most"
    assert requests.of("PATCH", path="/blobs/") == []
    assert all("mount=" in line for line in requests.of("POST", path="/blobs/uploads"))
    assert "0 blobs sent, 4 mounted" in summary(events, "push")


def test_a_repository_that_has_it_no_longer_is_no_harm(registry, home, define):
    builder = home()
    image = builder.build(define(a=1, b=6))
    builder.push(image, f"{registry.host}/forgotten/from:v1")
    for path in (builder.home.images / "repositories").iterdir():
        path.write_text(f"{registry.host}/never/was\nno line\n\x00")
    builder.push(image, f"{registry.host}/forgotten/into:v1")
    assert home("other").pull(f"{registry.host}/forgotten/into:v1").id == image.id


def test_layers_are_compressed_once(registry, home, define):
    builder = home()
    image = builder.build(define(a=1, b=7))
    builder.push(image, f"{registry.host}/once:v1")
    notes = sorted((builder.home.images / "compressed-gzip").iterdir())
    assert len(notes) == 2
    blobs = {path.name: path.stat().st_ino for path in (builder.home.images / "blobs" / "sha256").iterdir()}
    builder.push(image, f"{registry.host}/once/more:v1")
    assert {path.name: path.stat().st_ino for path in (builder.home.images / "blobs" / "sha256").iterdir()} == blobs


def test_a_registry_that_has_the_layers_needs_no_twins(registry, home, define):
    builder = home()
    image = builder.build(define(a=1, b=8))
    first = builder.push(image, f"{registry.host}/collected:v1")
    for layer in manifest_of(builder, first.reference)["layers"]:
        builder.home.blobs.path(layer["digest"]).unlink()
    assert builder.push(image, f"{registry.host}/collected:v2").digest == first.digest
    assert not any(builder.home.blobs.size(x["digest"]) for x in manifest_of(builder, first.reference)["layers"])


def test_it_is_recorded_where_the_image_is(registry, home, define):
    builder = home()
    image = builder.build(define(a=9))
    placed = builder.push(image, f"{registry.host}/recorded:v1")
    found = placement(builder.cache.get("placement", placement_name(image.id, placed.place)))
    assert found is not None
    assert (found.digest, found.size, found.reference) == (placed.digest, placed.size, placed.reference)


def test_the_place_says_yes_no_and_unknown(registry, home, define):
    builder = home()
    image = builder.build(define(a=10))
    placed = builder.push(image, f"{registry.host}/place:v1")
    with connected(parse(placed.place), builder.settings, builder.emit) as repository:
        place = RegistryPlace(repository)
        assert place.name == placed.place
        assert place.exists(image.id, placed.digest) is Presence.YES
        assert place.exists(image.id, image.digest) is Presence.NO
        assert place.remove(image.id, placed.digest)
        assert place.exists(image.id, placed.digest) is Presence.NO
        assert not place.remove(image.id, placed.digest)
    with connected(parse("127.0.0.1:1/nobody"), builder.settings, builder.emit) as repository:
        place = RegistryPlace(repository)
        assert place.exists(image.id, placed.digest) is Presence.UNKNOWN
        assert "127.0.0.1:1" in place.reason


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("train:v1", "no registry is named"),
        ("team/train", "no registry is named"),
        ("train.v1", "no registry is named"),
        ("localhost:5000/Train", ""),
        ("localhost:5000/a//b", ""),
        ("localhost:5000/a:", ""),
        ("localhost:5000/a:" + "x" * 129, ""),
        ("localhost:5000/a@sha256:" + "0" * 64, "a digest cannot be chosen"),
        ("oci:folder", ""),
        ("-v/x", ""),
        ("", ""),
    ],
)
def test_where_to_is_checked_before_anything_is_done(home, define, to, message):
    builder = home()
    with pytest.raises(UsageError, match=message or None):
        builder.push(define(a=1), to)
    assert not builder.home.root.exists()


def test_spellings_of_one_destination():
    for text in ("localhost:5000/a/b:v1", "registry://localhost:5000/a/b:v1", "docker://localhost:5000/a/b:v1"):
        assert str(destination(text)) == "localhost:5000/a/b:v1"
    assert str(destination("docker.io/team/train:v1")) == "docker.io/team/train:v1"
    assert str(destination("index.docker.io/train", "t")) == "docker.io/library/train:t"


def test_rights_are_checked_before_a_build(closed_registry, home, define):
    builder = home()
    with pytest.raises(NetworkError, match=closed_registry.host) as caught:
        builder.push(define(a=1), f"{closed_registry.host}/denied:v1")
    assert caught.value.status == 401
    assert not (builder.home.root / "images").exists(), "nothing was built"


def docker_config(folder: Path, host: str, password: str) -> None:
    import base64

    folder.mkdir(parents=True, exist_ok=True)
    auth = base64.b64encode(f"ada:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))


def test_a_login_as_docker_keeps_it(closed_registry, home, define, tmp_path, monkeypatch):
    docker_config(tmp_path / "docker", closed_registry.host, "correct horse")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    builder = home()
    builder.check_push(f"{closed_registry.host}/allowed:v1")
    image = builder.build(define(a=1))
    placed = builder.push(image, f"{closed_registry.host}/allowed:v1")
    assert home("other").pull(placed.reference).id == image.id


def test_a_wrong_password_is_not_shown(closed_registry, home, define, tmp_path, monkeypatch, events):
    docker_config(tmp_path / "docker", closed_registry.host, "canary-4711")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    builder = home()
    with pytest.raises(NetworkError) as caught:
        builder.push(builder.build(define(a=1)), f"{closed_registry.host}/allowed:v1")
    assert closed_registry.host in str(caught.value)
    assert (caught.value.exit_code, caught.value.status, caught.value.attempts) == (8, 401, 1)
    told = [str(caught.value), repr(vars(caught.value)), repr(caught.value.__cause__), repr(events)]
    assert "canary-4711" not in "".join(told)


def test_a_damaged_layer_is_not_pushed(registry, home, define):
    builder = home()
    image = builder.build(define(a=1, b=11))
    _, assembled = Layout(builder.home.images, builder.home.staging).open(image.digest, image.platform)
    path = builder.home.blobs.path(assembled.layers[0].digest)
    data = path.read_bytes()
    path.write_bytes(data[:5000] + b"X" + data[5001:])
    with pytest.raises(IntegrityError, match="expected digest"):
        builder.push(image, f"{registry.host}/damaged:v1")
    with pytest.raises(CooperyError):
        builder.pull(f"{registry.host}/damaged:v1")


def test_a_damaged_twin_is_not_pushed(registry, home, define):
    builder = home()
    image = builder.build(define(a=1, b=12))
    first = builder.push(image, f"{registry.host}/damaged/twin/from:v1")
    twin = manifest_of(builder, first.reference)["layers"][1]
    path = builder.home.blobs.path(twin["digest"])
    data = path.read_bytes()
    path.write_bytes(data[:5000] + b"X" + data[5001:])
    for note in (builder.home.images / "repositories").iterdir():
        note.unlink()
    with pytest.raises(IntegrityError, match=r"remove .*it is made or fetched again"):
        builder.push(image, f"{registry.host}/damaged/twin/into:v1")
    path.unlink()
    builder.push(image, f"{registry.host}/damaged/twin/into:v1")


@pytest.mark.needs("skopeo")
@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_skopeo_agrees(registry, home, define, compression, tmp_path):
    builder = home()
    image = builder.build(define(a=1, b=13))
    placed = builder.push(image, f"{registry.host}/skopeo/{compression}:v1", compression=compression)
    source = f"docker://{placed.reference}"
    told = json.loads(subprocess.check_output(["skopeo", "inspect", "--tls-verify=false", source]))
    assert told["Digest"] == placed.digest
    assert told["Env"] == ["LAYERS=a b"]
    argv = ["skopeo", "copy", "-q", "--src-tls-verify=false", source, f"oci:{tmp_path / 'copied'}:v1"]
    subprocess.run(argv, check=True, capture_output=True)
    (copied,) = validate_layout(tmp_path / "copied")
    assert copied.image_id == image.id


def test_a_push_by_an_environment_builds_first(registry, home, define):
    builder = home()
    environment: Environment = define(a=14)
    placed = builder.push(environment, f"{registry.host}/built:v1")
    assert builder.build(environment).hit
    assert home("other").pull(placed.reference).id == builder.build(environment).id
    assert builder.push(builder.key(environment)[:12], f"{registry.host}/built:v2").digest == placed.digest


def test_another_compression_is_refused(registry, home, define):
    builder = home()
    with pytest.raises(UsageError, match="'lz4': expected one of gzip, zstd"):
        builder.push(builder.build(define(a=1)), f"{registry.host}/refused:v1", compression="lz4")
