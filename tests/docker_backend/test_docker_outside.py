"""A Dockerfile's RUN behind a proxy and a CA of one's own: it reaches them, and nothing of them is in the image."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve

from coopery.backend import Workshop
from coopery.definition import DockerfileBase, Environment
from coopery.errors import BaseError, UsageError
from coopery.image import Assembled
from coopery.layer import Entry
from coopery.oci.layers_view import LayersFiles
from coopery.platform import of_host
from coopery.seal import seal
from coopery_docker import builders, materialize
from coopery_docker.backend import DockerBackend
from coopery_docker.client import Daemon
from settings.servers import Proxy, make_certificate, proxy, serve

pytestmark = [pytest.mark.needs("docker"), pytest.mark.slow]

HOST = "files.example"
MOUNT = "--mount=type=secret,id=coopery-ca,target=/run/ca.pem"


def curl_files() -> list[Entry]:
    """This machine's curl, with its libraries."""
    program = shutil.which("curl")
    if program is None:
        pytest.skip("curl is not installed")
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    found = {f"usr/bin/{Path(program).name}": Path(program).resolve()}
    for library in re.findall(r"(/\S+) \(0x", listed):
        found[re.sub(r"^/(lib|lib64)/", r"/usr/\1/", library)[1:]] = Path(library).resolve()
    return [Entry(path, mode=0o755, source=real, size=os.stat(real).st_size) for path, real in found.items()]


@pytest.fixture
def base_name(workshop: Workshop, daemon: Daemon, small: Assembled, made: SimpleNamespace) -> Iterator[str]:
    """The small image, with curl."""
    image = made.image_of([*small.layers, made.layer_of(workshop, *curl_files())], {"Env": ["PATH=/usr/bin:/bin"]})
    name = f"coopery:df-curl-{os.getpid()}"
    materialize.put(workshop, daemon, image, name)
    yield name
    daemon.remove_image(name)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Proxy, Path]]:
    """A proxy, behind which alone `HOST` is; and what signed its certificate."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "word").write_text("hello")
    certificate, trusted = make_certificate(tmp_path, HOST)
    with serve(root, certificate=certificate) as server, proxy({HOST: server.port}) as way:
        yield way, trusted


def fetch(backend: DockerBackend, folder: Path, text: str) -> Any:
    (folder / "Dockerfile").write_text(text)
    sealed = seal(Environment(base=DockerfileBase("Dockerfile"), root=folder)).base
    return backend.fetch_base(evolve(sealed, fresh=True), of_host())


def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def test_by_buildkit(
    workshop: Workshop, base_name: str, site: tuple[Proxy, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if builders.buildkit() is None:
        pytest.skip("no docker command line here reaches BuildKit")
    bare(monkeypatch)
    way, trusted = site
    settings = evolve(workshop.settings, proxy=way.url(), ca_bundle=str(trusted))
    backend = DockerBackend(evolve(workshop, settings=settings))
    run = f"RUN {MOUNT} curl -sSf --cacert /run/ca.pem https://{HOST}/word > /word\n"
    snapshot = fetch(backend, tmp_path, f"FROM {base_name}\n{run}")
    plain = f"RUN curl -sSf https://{HOST}/word\n"
    with pytest.raises(BaseError, match="certificate"):
        fetch(backend, tmp_path, f"FROM {base_name}\n{plain}")
    backend.close()
    files = LayersFiles(snapshot.layers, workshop.blobs)
    assert files.read("/word", 9) == b"hello"
    assert ("CONNECT", f"{HOST}:443", None) in way.asked
    told = snapshot.config.decode()
    assert str(way.port) not in told
    assert "PROXY" not in told.upper()
    for layer in snapshot.layers[-1:]:
        data = workshop.blobs.path(layer.digest).read_bytes()
        assert trusted.read_bytes().splitlines()[1] not in data
        assert str(way.port).encode() not in data


def test_by_the_classic_builder(
    workshop: Workshop, base_name: str, site: tuple[Proxy, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare(monkeypatch)
    monkeypatch.setattr(builders, "buildkit", lambda: None)
    way, _ = site
    backend = DockerBackend(evolve(workshop, settings=evolve(workshop.settings, proxy=way.url())))
    snapshot = fetch(backend, tmp_path, f"FROM {base_name}\nRUN curl -sSfk https://{HOST}/word > /word\n")
    backend.close()
    assert LayersFiles(snapshot.layers, workshop.blobs).read("/word", 9) == b"hello"
    assert ("CONNECT", f"{HOST}:443", None) in way.asked
    assert str(way.port) not in snapshot.config.decode()


def test_a_bundle_that_is_not_there_is_named(workshop: Workshop, base_name: str, tmp_path: Path) -> None:
    if builders.buildkit() is None:
        pytest.skip("no docker command line here reaches BuildKit")
    settings = evolve(workshop.settings, ca_bundle=str(tmp_path / "absent.pem"))
    backend = DockerBackend(evolve(workshop, settings=settings))
    with pytest.raises(UsageError, match=r"absent\.pem cannot be read"):
        fetch(backend, tmp_path, f"FROM {base_name}\n")
    backend.close()
