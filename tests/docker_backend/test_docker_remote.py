"""A daemon that is reached over TCP, plain and with TLS, as one on another machine is: it shares no file with us.

It listens on the loopback of a network namespace of its own, which the test enters: nobody else can reach it.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve

from coopery.backend import Snapshot, Workshop
from coopery.digest import of_bytes
from coopery.errors import BackendError
from coopery.events import Event, Output
from coopery.image import Assembled
from coopery.oci.layers_view import LayersFiles
from coopery.place import Presence
from coopery_docker.answers import Unreachable
from coopery_docker.backend import DockerBackend
from real_dockerd import Dockerd

pytestmark = [pytest.mark.needs("dockerd"), pytest.mark.slow]

PORT = 2376
_NEW_NET = 0x40000000


@contextmanager
def inside(process: int) -> Iterator[None]:
    """This thread's sockets are made in the network of *process*. Source: setns(2)."""
    library = ctypes.CDLL(None, use_errno=True)
    own, other = (os.open(f"/proc/{name}/ns/net", os.O_RDONLY) for name in ("thread-self", process))
    try:
        assert library.setns(other, _NEW_NET) == 0, os.strerror(ctypes.get_errno())
        try:
            yield
        finally:
            assert library.setns(own, _NEW_NET) == 0, os.strerror(ctypes.get_errno())
    finally:
        os.close(own)
        os.close(other)


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``ca.pem``, and for the daemon and for us what it signed: the folder that ``DOCKER_CERT_PATH`` names."""
    folder = tmp_path_factory.mktemp("certificates")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    authority = ("-x509", "-days", "2", "-subj", "/CN=authority", "-keyout", "ca-key.pem", "-out", "ca.pem")
    openssl(folder, "req", *key, *authority)
    for name, extension in (("server", "subjectAltName=IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")):
        certificate = "cert.pem" if name == "client" else "server.pem"
        private = "key.pem" if name == "client" else "server-key.pem"
        openssl(folder, "req", *key, "-subj", f"/CN={name}", "-keyout", private, "-out", f"{name}.csr")
        (folder / "extension").write_text(extension)
        signing = ("-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-extfile", "extension")
        openssl(folder, "x509", "-req", "-days", "2", "-in", f"{name}.csr", *signing, "-out", certificate)
    return folder


@pytest.fixture(scope="module", params=["plain", "tls"])
def remote(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, certificates: Path
) -> Iterator[Dockerd]:
    """A daemon that listens on `PORT`."""
    options = ["--tls=false"]
    if request.param == "tls":
        files = {"tlscacert": "ca.pem", "tlscert": "server.pem", "tlskey": "server-key.pem"}
        options = ["--tlsverify", *(f"--{option}={certificates / file}" for option, file in files.items())]
    made = Dockerd(tmp_path_factory.mktemp("remote"), f"--host=tcp://127.0.0.1:{PORT}", *options)
    made.secure = request.param == "tls"  # type: ignore[attr-defined]  # for `backend`
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def backend(
    remote: Any, certificates: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DockerBackend]:
    """On that daemon, as variables name it."""
    for name in ("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{PORT}")
    if remote.secure:
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates / "cert.pem"))  # for other servers
    with inside(remote.pid):
        made = DockerBackend(workshop)
        yield made
        made.close()


def test_an_image_there_and_back(backend: DockerBackend, base: Snapshot, small: Assembled) -> None:
    placed = backend.materialize(base, small, (), "remote")
    assert placed.place == f"docker:tcp://127.0.0.1:{PORT}"
    assert backend.place.exists(small.image_id, placed.digest) is Presence.YES
    assert backend.materialize(base, small, (), "remote") == placed
    assert backend.place.remove(small.image_id, placed.digest) is True
    assert backend.place.exists(small.image_id, placed.digest) is Presence.NO


def test_a_step_there(
    backend: DockerBackend,
    base: Snapshot,
    workshop: Workshop,
    events: list[Event],
    made: SimpleNamespace,
    certificates: Path,
) -> None:
    """Its output comes whole and in order, what it needs of us is sent, what it changed comes back."""
    settings = evolve(workshop.settings, ca_bundle=str(certificates / "ca.pem"))
    behind = DockerBackend(evolve(workshop, settings=settings))
    words = 'i=0; while [ $i -lt 300 ]; do echo "line $i"; i=$((i+1)); done; head -c 27 "$SSL_CERT_FILE" > /told'
    after = behind.run_step(base, made.run_step(words, network=False), f"remote-{id(backend)}")
    behind.close()
    files = LayersFiles(after.layers, workshop.blobs)
    assert files.read("/told", 99) == b"-----BEGIN CERTIFICATE-----"
    assert files.lstat("/run/coopery") is None
    lines = [event.line for event in events if isinstance(event, Output) and event.line.startswith("line")]
    assert lines == [f"line {number}" for number in range(300)]


def test_secrets_do_not_go_there(backend: DockerBackend, base: Snapshot, workshop: Workshop, made: Any) -> None:
    given = DockerBackend(evolve(workshop, secrets={"token": b"canary-4711"}))
    with pytest.raises(BackendError, match="another machine") as caught:
        given.run_step(base, made.run_step("true", secrets=("token",), network=False), "remote-secret")
    given.close()
    assert "canary" not in caught.value.message
    assert made.Leaks(backend._daemon).containers == []


def test_it_examines_well(backend: DockerBackend) -> None:
    found = backend.examine()
    assert found.works, found.problem
    assert f"tcp://127.0.0.1:{PORT}, by $DOCKER_HOST" in found.details


@pytest.mark.parametrize("remote", ["tls"], indirect=True)
def test_who_has_no_certificate_or_trusts_another_is_told(
    remote: Any, certificates: Path, workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{PORT}")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    (tmp_path / "ca.pem").write_bytes((certificates / "ca.pem").read_bytes())
    with inside(remote.pid):
        assert_unreachable(workshop)  # no certificate of its own
        for name in ("cert.pem", "key.pem"):
            (tmp_path / name).write_bytes((certificates / name).read_bytes())
        (tmp_path / "ca.pem").write_bytes((certificates / "cert.pem").read_bytes())
        assert_unreachable(workshop)  # the daemon's is not signed by what is trusted


def assert_unreachable(workshop: Workshop) -> None:
    backend = DockerBackend(workshop)
    with pytest.raises(Unreachable) as caught:
        _ = backend._daemon.info
    assert f"tcp://127.0.0.1:{PORT}" in caught.value.message
    assert "SSL" in caught.value.message.upper()
    found = backend.place.exists(of_bytes(b"x"), of_bytes(b"x"))
    backend.close()
    assert found is Presence.UNKNOWN
