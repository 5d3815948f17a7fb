"""Dockerfiles and contexts as bases, by a real buildah."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve

from coopery.backend import Workshop
from coopery.definition import BuildOptions, ContextBase, DockerfileBase, Environment
from coopery.errors import BaseError, IntegrityError, UsageError
from coopery.events import Event
from coopery.image import Assembled
from coopery.oci.config import platform_of
from coopery.seal import seal
from coopery.sealed import SealedBase
from coopery_podman.backend import PodmanBackend
from real_registry import real_registry

pytestmark = [pytest.mark.needs("buildah"), pytest.mark.processes]


@pytest.fixture
def platform(small: Assembled) -> str:
    return platform_of(small.document)


@pytest.fixture
def folder(backend: PodmanBackend, make: SimpleNamespace, small: Assembled, tmp_path: Path) -> Path:
    """A context; its Dockerfile starts from the small image."""
    backend.materialize(make.snapshot(small), small, (), "base")
    (tmp_path / "context").mkdir()
    for name in ("yes.txt", "no.txt", ".dockerignore"):
        (tmp_path / "context" / name).write_text("no.txt\n")
    return tmp_path / "context"


def context(folder: Path, *lines: str, **options: Any) -> SealedBase:
    (folder / "Dockerfile").write_text("\n".join(["FROM localhost/coopery:base", *lines, ""]))
    return seal(Environment(ContextBase(str(folder)), build=BuildOptions(**options))).base


def test_a_context_is_what_was_sealed(session_shop: Workshop, folder: Path, platform: str, events: list[Event]) -> None:
    backend = PodmanBackend(evolve(session_shop, emit=events.append, secrets={"token": b"canary-secret"}))
    lines = ["ARG WHO=nobody", "COPY . /context", "USER app", "ENV MORE=1"]
    lines.insert(2, 'RUN --mount=type=secret,id=token echo "$WHO $(cat /run/secrets/token)"; echo $WHO > /who')
    base = context(folder, *lines, arguments={"WHO": 'me "$(x)"'}, secrets=("token",))
    snapshot = backend.fetch_base(base, platform)
    files = backend.files(snapshot)
    assert files.listdir("/context") == (".dockerignore", "Dockerfile", "yes.txt")
    assert files.read("/who", 100) == b'me "$(x)"\n'
    assert files.read("/etc/passwd", 4) == b"root"
    config = Assembled(snapshot.config, ()).document["config"]
    assert (config["User"], config["Env"][-1]) == ("app", "MORE=1")
    told = "\n".join(map(str, events))
    assert 'me "$(x)" ***' in told
    assert "canary" not in told
    for layer in snapshot.layers:
        assert b"canary" not in session_shop.blobs.read(layer.digest)
    assert b"canary" not in snapshot.config

    events.clear()
    assert backend.fetch_base(base, platform) == snapshot
    assert events == []  # kept by content: nothing was built
    assert subprocess.check_output(["buildah", "containers", "--quiet"]) == b""


def test_a_dockerfile_alone(backend: PodmanBackend, folder: Path, platform: str) -> None:
    path = folder / "Alone"
    path.write_text("FROM localhost/coopery:base\nRUN echo made > /made\n")
    snapshot = backend.fetch_base(seal(Environment(DockerfileBase(str(path)))).base, platform)
    assert backend.files(snapshot).read("/made", 10) == b"made\n"


def test_an_instruction_that_fails_says_so_and_leaves_no_container(
    backend: PodmanBackend, folder: Path, platform: str
) -> None:
    base = context(folder, "RUN echo oops; exit 4")
    with pytest.raises(BaseError, match=r"(?s)\$\.base\.context: the build ended with status \d+.*oops"):
        backend.fetch_base(base, platform)
    assert subprocess.check_output(["buildah", "containers", "--quiet"]) == b""


def test_what_changed_since_the_key_was_made_is_not_built(backend: PodmanBackend, folder: Path, platform: str) -> None:
    base = context(folder, "RUN true")
    (folder / "yes.txt").write_text("changed")
    with pytest.raises(IntegrityError, match="changed since the key was made"):
        backend.fetch_base(base, platform)


def test_a_secret_that_was_not_given_is_refused(backend: PodmanBackend, folder: Path, platform: str) -> None:
    with pytest.raises(UsageError, match=r"no value was given for a build secret: .*: token"):
        backend.fetch_base(context(folder, "RUN true", secrets=("token",)), platform)


@pytest.mark.needs("registry")
def test_from_may_name_a_registry_on_loopback(
    backend: PodmanBackend, folder: Path, platform: str, tmp_path: Path
) -> None:
    with real_registry(tmp_path / "registry") as registry:
        there = f"{registry.host}/base:v1"
        argv = ["buildah", "push", "--tls-verify=false", "localhost/coopery:base", f"docker://{there}"]
        subprocess.run(argv, check=True, capture_output=True)
        said = backend.fetch_base(context(folder, f"FROM {there}", "RUN echo one > /said"), platform)
        (folder / "Dockerfile").write_text("ARG BASE\nFROM $BASE\nRUN echo two > /said\n")
        given = seal(Environment(ContextBase(str(folder)), build=BuildOptions(arguments={"BASE": there}))).base
        argument = backend.fetch_base(given, platform)
    assert backend.files(said).read("/said", 9) == b"one\n"
    assert backend.files(argument).read("/said", 9) == b"two\n"
