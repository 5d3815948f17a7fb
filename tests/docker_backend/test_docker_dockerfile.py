"""Dockerfiles and contexts as bases, by BuildKit and by the classic builder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve

from coopery.backend import Workshop
from coopery.definition import BuildOptions, ContextBase, DockerfileBase, Environment
from coopery.errors import BaseError, IntegrityError, UnsupportedError, UsageError
from coopery.events import Event, Output
from coopery.image import Assembled
from coopery.oci.layers_view import LayersFiles
from coopery.platform import of_host
from coopery.seal import seal
from coopery.sealed import SealedBase
from coopery.snapshots.build_context import name_of
from coopery_docker import builders, materialize
from coopery_docker.backend import DockerBackend
from coopery_docker.client import Daemon

pytestmark = pytest.mark.needs("docker")


@pytest.fixture
def base_name(workshop: Workshop, daemon: Daemon, small: Assembled, backend: DockerBackend) -> Iterator[str]:
    name = f"coopery:df-test-{os.getpid()}"
    materialize.put(workshop, daemon, small, name)
    yield name
    backend._stage.release()  # what the classic builder made of it must go first
    daemon.remove_image(name)


@pytest.fixture(params=["buildkit", "classic"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    if name == "classic":
        monkeypatch.setattr(builders, "buildkit", lambda: None)
    elif builders.buildkit() is None:
        pytest.skip("no docker command line here reaches BuildKit")
    return name


@pytest.fixture
def sealed(tmp_path: Path) -> Callable[..., SealedBase]:
    """Writes files below a folder, and seals the base that they are."""

    def make(
        files: dict[str, str], *, context: bool = True, secrets: tuple[str, ...] = (), **arguments: str
    ) -> SealedBase:
        top = tmp_path / "ctx"
        for name, content in files.items():
            path = top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        base = ContextBase("ctx") if context else DockerfileBase("ctx/Dockerfile")
        build = BuildOptions(arguments=tuple(arguments.items()), secrets=secrets)
        return seal(Environment(base=base, build=build, root=tmp_path)).base

    return make


def lines(events: list[Event]) -> str:
    return "\n".join(event.line for event in events if isinstance(event, Output))


def test_a_context_as_the_base(
    backend: DockerBackend, workshop: Workshop, sealed: Any, base_name: str, way: str, events: list[Event]
) -> None:
    files = {
        "Dockerfile": f"FROM {base_name}\nARG WHO=nobody\nCOPY . /app/\nENV WHO=$WHO\nRUN echo $WHO > /app/made\n",
        ".dockerignore": "*.log\n!keep.log\nDockerfile\nsecret/\n",
        "a.txt": "a",
        "b.log": "b",
        "keep.log": "k",
        "secret/x": "x",
        "deep/er/c.txt": "c",
    }
    hostile = 'me\nRUN touch /pwned "$(id)`'
    snapshot = backend.fetch_base(evolve(sealed(files, WHO=hostile), fresh=True), of_host())
    found = LayersFiles(snapshot.layers, workshop.blobs)
    assert found.listdir("/app") == (".dockerignore", "a.txt", "deep", "keep.log", "made")
    assert found.read("/app/deep/er/c.txt", 9) == b"c"
    assert found.lstat("/pwned") is None
    assert found.lstat("/usr/bin/sh") is not None
    assert f"WHO={hostile}" in json.loads(snapshot.config)["config"]["Env"]
    assert snapshot.backend == "docker"
    assert ("BuildKit" if way == "buildkit" else "the classic builder") in lines(events)
    assert list(workshop.staging.iterdir()) == []


def test_what_it_gave_is_kept_until_a_rebuild(
    backend: DockerBackend, sealed: Any, base_name: str, events: list[Event]
) -> None:
    made = sealed({"Dockerfile": f"FROM {base_name}\nRUN echo once > /once\n"}, context=False)
    first = backend.fetch_base(made, of_host())
    events.clear()
    assert backend.fetch_base(made, of_host()) == first
    assert events == []
    backend.fetch_base(evolve(made, fresh=True), of_host())
    assert "Dockerfile: built by" in lines(events)


def test_an_instruction_that_fails_says_why(backend: DockerBackend, sealed: Any, base_name: str, way: str) -> None:
    made = sealed({"Dockerfile": f"FROM {base_name}\nRUN echo about-to-fail; exit 3\n"}, context=False)
    with pytest.raises(BaseError) as caught:
        backend.fetch_base(made, of_host())
    assert caught.value.message.startswith("$.base.dockerfile: ")
    assert "about-to-fail" in caught.value.message


def test_what_changed_since_the_key_is_not_built(
    backend: DockerBackend, sealed: Any, base_name: str, tmp_path: Path
) -> None:
    made = sealed({"Dockerfile": f"FROM {base_name}\n", "a": "1"})
    (tmp_path / "ctx" / "a").write_text("2")
    with pytest.raises(IntegrityError, match="changed since the key was made"):
        backend.fetch_base(made, of_host())


def test_secrets_are_mounted_and_stay_nowhere(
    made: SimpleNamespace, workshop: Workshop, sealed: Any, base_name: str, events: list[Event]
) -> None:
    if builders.buildkit() is None:
        pytest.skip("no docker command line here reaches BuildKit")
    run = "RUN --mount=type=secret,id=token head -c 6 /run/secrets/token > /six; cat /run/secrets/token"
    base = sealed({"Dockerfile": f"FROM {base_name}\n{run}\n"}, context=False, secrets=("token",))
    backend = DockerBackend(evolve(workshop, secrets={"token": b"canary-4711"}))
    snapshot = backend.fetch_base(base, of_host())
    backend.close()
    assert LayersFiles(snapshot.layers, workshop.blobs).read("/six", 99) == b"canary"
    assert "canary-4711" not in lines(events) + snapshot.config.decode()
    for layer in snapshot.layers:
        assert b"canary-4711" not in workshop.blobs.path(layer.digest).read_bytes()


def test_a_secret_that_was_not_given_is_refused(
    backend: DockerBackend, sealed: Any, base_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = sealed({"Dockerfile": f"FROM {base_name}\n"}, context=False, secrets=("token",))
    monkeypatch.setattr(builders, "buildkit", lambda: builders.Builder("none", ("false",), {}))
    with pytest.raises(UsageError, match="token"):
        backend.fetch_base(base, of_host())


@pytest.mark.parametrize("secrets", [(), ("token",)])
def test_the_classic_builder_refuses_what_it_lacks(
    backend: DockerBackend, sealed: Any, base_name: str, monkeypatch: pytest.MonkeyPatch, secrets: tuple[str, ...]
) -> None:
    monkeypatch.setattr(builders, "buildkit", lambda: None)
    text = f"FROM {base_name}\n" + ("" if secrets else "run --mount=type=cache,target=/x true\n")
    with pytest.raises(UnsupportedError) as caught:
        backend.fetch_base(sealed({"Dockerfile": text}, context=False, secrets=secrets), of_host())
    assert caught.value.ability == ("secrets" if secrets else "RUN --mount")
    assert "buildx" in caught.value.remedy


def test_the_name_of_what_is_kept_depends_on_all_that_counts(sealed: Any) -> None:
    first = sealed({"Dockerfile": "FROM x\n"}, context=False)
    names = {
        name_of("tag", base, platform)
        for base in (first, evolve(first, arguments=(("A", "b"),)), evolve(first, secrets=("A",)))
        for platform in ("linux/amd64", "linux/arm64")
    }
    assert len(names) == 6
