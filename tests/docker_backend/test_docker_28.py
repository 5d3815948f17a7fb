"""The same on Docker 28: with overlay2, and with containerd's image store, where an image's id is its manifest's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import parts
from coopery.backend import Snapshot, Workshop
from coopery.definition import DockerfileBase, Environment
from coopery.digest import of_bytes
from coopery.events import Event, Output, Warned
from coopery.image import Assembled
from coopery.oci.layers_view import LayersFiles
from coopery.oci.manifest import make_manifest
from coopery.place import Presence, RunRequest
from coopery.platform import of_host
from coopery.seal import seal
from coopery_docker import builders, held, materialize, stage
from coopery_docker.backend import DockerBackend
from coopery_docker.client import Daemon

pytestmark = [pytest.mark.needs("docker-28"), pytest.mark.slow]

PREFIX = parts.REPOSITORY / "build" / "docker-28"


@pytest.fixture(scope="module", params=["overlay2", "containerd"])
def own(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, dockerd_class: Any) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp(f"docker28-{request.param}")
    config = folder / "daemon.json"
    config.write_text(json.dumps({"features": {"containerd-snapshotter": request.param == "containerd"}}))
    made = dockerd_class(folder, f"--config-file={config}", programs=PREFIX / "usr")
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def backend(own: Any, workshop: Workshop, monkeypatch: pytest.MonkeyPatch, made: SimpleNamespace) -> Iterator[Any]:
    monkeypatch.setenv("DOCKER_HOST", own.endpoint.host)
    monkeypatch.setenv("DOCKER_CONFIG", str(PREFIX / "config"))
    monkeypatch.setenv("PATH", own.path)
    backend = DockerBackend(workshop)
    yield backend
    backend._stage.release()
    stage.sweep_images(backend._daemon)
    leaks = made.Leaks(backend._daemon)
    left = (leaks.containers, leaks.images)
    backend.close()
    assert left == ([], [])


def expected(daemon: Daemon, image: Assembled) -> str:
    return of_bytes(make_manifest(image)) if daemon.by_manifest else image.image_id


def test_images_whole_and_thin(
    backend: DockerBackend,
    base: Snapshot,
    small: Assembled,
    workshop: Workshop,
    made: SimpleNamespace,
    events: list[Event],
) -> None:
    daemon = backend._daemon
    first = backend.materialize(base, small, (), "first")
    assert first.digest == expected(daemon, small)
    top = made.layer_of(workshop, made.text("top", os.urandom(1000)))
    image = made.image_of([*small.layers, top])
    if daemon.by_manifest:
        assert held.held_blobs(daemon, workshop.blobs, image.layers) == {layer.digest for layer in small.layers}
    else:
        assert held.chain(daemon, workshop.blobs, image) == 1
    second = backend.materialize(base, image, (top,), "second")
    assert second.digest == expected(daemon, image)
    assert not [event for event in events if isinstance(event, Warned)]  # the thin one was taken
    assert backend.place.exists(image.image_id, second.digest) is Presence.YES
    assert backend.place.remove(small.image_id, first.digest)
    assert backend.place.exists(small.image_id, first.digest) is Presence.NO
    assert backend.place.run(second.digest, RunRequest(("sh", "-c", "cat /old/one > /dev/null; exit 5"))) == 5
    backend.place.remove(image.image_id, second.digest)


def test_what_it_lacks_is_sent_after_all(
    backend: DockerBackend, workshop: Workshop, made: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    low = made.layer_of(workshop, made.text("low", os.urandom(1000)))
    image = made.image_of([low, made.layer_of(workshop, made.text("high", os.urandom(1000)))])
    monkeypatch.setattr(held, "chain", lambda *_: 1)
    monkeypatch.setattr(held, "held_blobs", lambda *_: frozenset({low.digest}))
    digest = materialize.put(workshop, backend._daemon, image, "coopery:lacking")
    snapshot = made.snapshot_of(image)
    assert backend.place.exists(image.image_id, digest) is Presence.YES
    assert LayersFiles(snapshot.layers, workshop.blobs).lstat("/low") is not None
    backend.place.remove(image.image_id, digest)


def test_a_step_and_what_it_changed(
    backend: DockerBackend, base: Snapshot, made: SimpleNamespace, workshop: Workshop, events: list[Event]
) -> None:
    script = "echo n > /new; rm /gone; rm -r /old; mkdir /old; echo 3 > /old/three; echo $COLOR"
    after = backend.run_step(base, made.run_step(script), f"on-{backend.place.name[-20:].replace('/', '-')}")
    files = LayersFiles(after.layers, workshop.blobs)
    assert files.read("/new", 9) == b"n\n"
    assert files.lstat("/gone") is None
    assert files.listdir("/old") == ("three",)
    assert next(event.line for event in events if isinstance(event, Output)) == "green"


def test_a_dockerfile_by_buildx(
    backend: DockerBackend, base: Snapshot, small: Assembled, workshop: Workshop, tmp_path: Path
) -> None:
    found = builders.buildkit()
    assert found is not None
    assert "buildx" in found.words
    placed = backend.materialize(base, small, (), "df-base")
    (tmp_path / "Dockerfile").write_text("FROM coopery:df-base\nRUN echo made > /made\n")
    sealed = seal(Environment(base=DockerfileBase("Dockerfile"), root=tmp_path)).base
    snapshot = backend.fetch_base(sealed, of_host())
    assert LayersFiles(snapshot.layers, workshop.blobs).read("/made", 9) == b"made\n"
    backend.place.remove(small.image_id, placed.digest)


def test_it_examines_well(backend: DockerBackend) -> None:
    found = backend.examine()
    assert (found.works, found.version[:2]) == (True, "28")
