"""``image:`` bases from a real registry: by tag, by digest, for several platforms, kept where a tag moves."""

from __future__ import annotations

import json
import os
import shutil
from typing import Any

import pytest
from attrs import evolve

from coopery import Environment, pulling
from coopery.errors import BaseError, NetworkError, UsageError
from coopery.events import BaseMoved, ignore
from coopery.facts import read_facts
from coopery.image import encode
from coopery.layer import TAR_GZIP, TAR_ZSTD
from coopery.oci import media
from coopery.oci.validate import validate_layout
from coopery.place import RunRequest
from coopery.registry.connected import connected
from coopery.registry.reference import parse
from coopery.seal import seal
from trunk.rootfs import MERGED, pack, shell

pytestmark = [pytest.mark.needs("registry"), pytest.mark.processes]


@pytest.fixture
def base(registry, home, tmp_path, request):
    """Push a root file system with a shell to a repository of this test; keywords are variables in its config."""
    name = "".join(char if char.isalnum() else "-" for char in request.node.name.lower()).strip("-")
    pack(tmp_path / "rootfs.tar", {**shell(), "etc/base": b"yes\n"}, MERGED, ["tmp"])

    def push(tag: str = "v1", compression: str = "gzip", platform: str = "linux/amd64", **env: str) -> Any:
        document = {
            "base": {"rootfs": "rootfs.tar"},
            "target": {"platform": platform},
            "steps": [{"env": env or {"A": "1"}}],
        }
        builder = home("bases")
        image = builder.build(Environment.from_dict(document, tmp_path))
        return builder.push(image, f"{registry.host}/bases/{name}:{tag}", compression=compression)

    return push


def on(reference: str, tmp_path: Any, **more: Any) -> Environment:
    (tmp_path / "train.py").write_text("print(1)\n")
    return Environment.from_dict(
        {"base": {"image": reference}, "steps": [{"copy": "train.py", "to": "/job/"}], **more}, tmp_path
    )


@pytest.mark.parametrize(("compression", "media_type"), [("gzip", TAR_GZIP), ("zstd", TAR_ZSTD)])
def test_layers_stay_as_they_came(base, home, tmp_path, compression, media_type):
    placed = base(compression=compression)
    builder = home()
    image = builder.build(on(placed.reference, tmp_path))
    details = builder.details(image.key)
    assert details.layers[0].media_type == media_type
    known = builder.ledger.resolution(image.key)
    assert known.base == placed.digest, "recorded by digest"
    backend = builder.backend(builder.emit)
    snapshot = backend.fetch_base(seal(on(placed.reference, tmp_path)).base, "linux/amd64")
    assert snapshot.digest == placed.digest
    facts = read_facts(backend.files(snapshot), snapshot.config, "/opt/env")
    assert facts.glibc == str(os.confstr("CS_GNU_LIBC_VERSION")).split()[-1]
    assert backend.files(snapshot).read("/etc/base", 10) == b"yes\n"


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_on_it_programs_run_and_all_forms_are_written(base, home, tmp_path, capfd, compression):
    builder = home()
    image = builder.build(on(base(compression=compression).reference, tmp_path))
    assert builder.run(image.key, RunRequest(["sh", "-c", "echo $A; test -f /job/train.py"])) == 0
    assert capfd.readouterr().out == "1\n"
    for to in (
        f"oci:{tmp_path / 'layout'}:v1",
        f"oci-archive:{tmp_path / 'o.tar'}",
        f"docker-archive:{tmp_path / 'd.tar'}:a:v1",
    ):
        builder.export(image, to)
    (read,) = validate_layout(tmp_path / "layout")
    assert read.image_id == image.id
    again = home("again")
    for archive in ("o.tar", "d.tar"):
        copied = again.build(
            Environment.from_dict({"base": {"archive": archive}, "steps": [{"env": {"B": "2"}}]}, tmp_path)
        )
        assert again.run(copied.key, RunRequest(["sh", "-c", "echo $A$B"])) == 0
    assert capfd.readouterr().out == "12\n12\n"


def test_the_same_image_whatever_the_base_was_compressed_by(base, home, tmp_path):
    ids = {
        home(compression).build(on(base("v1", compression).reference, tmp_path)).id for compression in ("gzip", "zstd")
    }
    assert len(ids) == 1


def test_pushed_on_its_layers_are_mounted_not_sent(base, home, registry, tmp_path, asked):
    builder = home()
    placed = base()
    image = builder.build(on(placed.reference, tmp_path))
    requests = asked(registry)
    there = builder.push(image, f"{registry.host}/bases/derived/mounted:v1")
    assert requests.stored < 5000, "the small layer, config and manifest"
    assert len(requests.of("POST", path="mount=")) == 1
    with connected(parse(there.reference), builder.settings, builder.emit) as repository:
        layers = json.loads(repository.manifest("v1")[1])["layers"]
    with connected(parse(placed.reference), builder.settings, builder.emit) as repository:
        assert layers[0] == json.loads(repository.manifest("v1")[1])["layers"][0]


def test_a_hit_asks_nobody(base, home, tmp_path, registry, asked):
    builder = home()
    environment = on(base().reference, tmp_path)
    builder.build(environment)
    requests = asked(registry)
    assert builder.build(environment).hit
    assert requests.of("GET", "HEAD") == []


def test_a_digest_that_is_here_asks_nobody(base, home, tmp_path, registry, asked):
    placed = base()
    builder = home()
    name = placed.reference.rpartition(":")[0]
    builder.build(on(f"{name}@{placed.digest}", tmp_path))
    requests = asked(registry)
    builder.build(on(f"{name}@{placed.digest}", tmp_path, description="other", build={"bytecode": False}))
    assert requests.of("GET", "HEAD") == []


def test_a_pinned_digest_wins_over_the_tag(base, home, tmp_path):
    first = base("v1", A="1")
    second = base("v1", A="2")
    assert first.digest != second.digest
    backend = home().backend(ignore)
    sealed = seal(on(first.reference, tmp_path)).base
    assert backend.fetch_base(sealed, "linux/amd64").digest == second.digest
    pinned = backend.fetch_base(evolve(sealed, pinned=first.digest), "linux/amd64")
    assert pinned.digest == first.digest
    assert b"A=1" in pinned.config


def test_what_a_tag_names_today(base, home, tmp_path):
    builder = home()
    first = base("v1", A="1")
    environment = on(first.reference, tmp_path)
    assert pulling.current_digest(builder, environment) == first.digest
    second = base("v1", A="2")
    assert pulling.current_digest(builder, environment) == second.digest
    with pytest.raises(UsageError):
        pulling.current_digest(builder, Environment.from_dict({"base": "scratch"}))


def test_an_index_gives_the_platform_of_the_target(base, home, tmp_path):
    amd, arm = base("amd"), base("arm", "zstd", "linux/arm64")
    name = amd.reference.rpartition(":")[0]
    builder = home()
    with connected(parse(name), builder.settings, builder.emit) as repository:
        entries = [
            {**repository.manifest(digest)[0].to_json(), "platform": {"os": "linux", "architecture": architecture}}
            for digest, architecture in ((amd.digest, "amd64"), (arm.digest, "arm64"))
        ]
        inner = encode({"schemaVersion": 2, "mediaType": media.INDEX, "manifests": entries})
        there = repository.put_manifest(inner, media.INDEX)
        nested = [{"mediaType": media.INDEX, "digest": there, "size": len(inner)}]
        repository.put_manifest(
            encode({"schemaVersion": 2, "mediaType": media.INDEX, "manifests": nested}), media.INDEX, "all"
        )
    for platform, placed in (("linux/amd64", amd), ("linux/arm64", arm)):
        environment = on(f"{name}:all", tmp_path, target={"platform": platform})
        assert builder.ledger.resolution(builder.build(environment).key).base == placed.digest
        assert pulling.current_digest(builder, environment) == placed.digest
    with pytest.raises(BaseError, match="linux/s390x; there is linux/amd64, linux/arm64"):
        builder.build(on(f"{name}:all", tmp_path, target={"platform": "linux/s390x"}))


def test_an_image_for_another_platform_is_refused(base, home, tmp_path):
    placed = base("arm", platform="linux/arm64")
    with pytest.raises(BaseError, match="linux/arm64"):
        home().build(on(placed.reference, tmp_path))


def test_what_is_not_there_is_said(base, home, tmp_path):
    placed = base()
    with pytest.raises((BaseError, NetworkError), match="absent"):
        home().build(on(placed.reference.replace(":v1", ":absent"), tmp_path))
    with pytest.raises((BaseError, NetworkError), match=r"127\.0\.0\.1:1"):
        home().build(on("127.0.0.1:1/nobody/there:v1", tmp_path))


def test_a_mirror_gives_the_same_image(base, home, registry, tmp_path):
    placed = base()
    mirrored = f"registry.example.org/{placed.reference.partition('/')[2]}"
    builder = home(registries={"registry.example.org": registry.host})
    image = builder.build(on(mirrored, tmp_path))
    assert builder.ledger.resolution(image.key).base == placed.digest


def test_facts_of_a_cuda_base_are_read(base, home, tmp_path):
    placed = base(NVIDIA_REQUIRE_CUDA="cuda>=12.4 brand=tesla,driver>=470")
    builder = home()
    backend = builder.backend(builder.emit)
    snapshot = backend.fetch_base(seal(on(placed.reference, tmp_path)).base, "linux/amd64")
    assert read_facts(backend.files(snapshot), snapshot.config, "/opt/env").cuda == "12.4"


def test_a_moved_tag_is_kept_until_a_rebuild(base, home, tmp_path):
    builder = home()
    first = base("v1", A="1")
    environment = on(first.reference, tmp_path)
    image = builder.build(environment)
    second = base("v1", A="2")
    assert builder.build(environment) == image
    builder.place.remove(image.id, image.digest)
    shutil.rmtree(builder.home.images)
    assert builder.build(environment).id == image.id, "lost here, and made again from the digest that was recorded"
    again = builder.build(environment, rebuild=True)
    assert (again.generation, again.id != image.id) == (2, True)
    assert builder.ledger.resolution(again.key).base == second.digest


def test_a_moved_tag_is_followed_where_that_is_asked_for(base, home, tmp_path, events, registry, asked):
    builder = home(moved_base="rebuild")
    first = base("v1", A="1")
    environment = on(first.reference, tmp_path)
    image = builder.build(environment)
    requests = asked(registry)
    assert builder.build(environment).hit
    assert len(requests.of("GET", path="/manifests/v1")) == 1, "one request, and what it says is believed"
    second = base("v1", A="2")
    events.clear()
    moved = builder.build(environment)
    assert (moved.generation, moved.id != image.id) == (2, True)
    (event,) = [event for event in events if isinstance(event, BaseMoved)]
    assert (event.before, event.after) == (first.digest, second.digest)
    assert builder.build(environment).hit
