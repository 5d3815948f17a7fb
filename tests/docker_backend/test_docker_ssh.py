"""A daemon behind ssh: a real ssh and a real sshd, which talk through a pipe, so that no port is in it."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coopery.backend import Snapshot, Workshop
from coopery.digest import of_bytes
from coopery.errors import BackendError
from coopery.events import Event, Output
from coopery.image import Assembled
from coopery.oci.layers_view import LayersFiles
from coopery.place import Presence
from coopery_docker.answers import Unreachable
from coopery_docker.backend import DockerBackend
from coopery_docker.client import Daemon
from coopery_docker.endpoint import Endpoint, endpoint
from coopery_docker.ssh import argv

# --- what ssh is told -----------------------------------------------------------------------------


def words(host: str) -> tuple[str, ...]:
    return argv(Endpoint(host, origin="a test"))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("ssh://far", ("--", "far", "docker system dial-stdio")),
        ("ssh://Far/", ("--", "Far", "docker system dial-stdio")),
        ("ssh://me@far:2222", ("-l", "me", "-p", "2222", "--", "far", "docker system dial-stdio")),
        ("ssh://me%40home@far", ("-l", "me@home", "--", "far", "docker system dial-stdio")),
        ("ssh://[::1]:22", ("-p", "22", "--", "::1", "docker system dial-stdio")),
        ("ssh://far/run/x.sock", ("--", "far", "docker --host=unix:///run/x.sock system dial-stdio")),
        ("ssh://far/a%20b;c", ("--", "far", "docker '--host=unix:///a b;c' system dial-stdio")),
        ("ssh://-oProxyCommand=x", ("--", "-oProxyCommand=x", "docker system dial-stdio")),
    ],
)
def test_what_ssh_is_told(host: str, expected: tuple[str, ...]) -> None:
    assert words(host) == ("ssh", "-T", "-o", "ConnectTimeout=30", *expected)


@pytest.mark.parametrize(
    "host", ["ssh://", "ssh://me@", "ssh://me:hunter2@far", "ssh://far:x", "ssh://far?a", "ssh://far#a"]
)
def test_what_ssh_cannot_be_told(host: str) -> None:
    with pytest.raises(BackendError, match="a test") as caught:
        words(host)
    assert "hunter2" not in caught.value.message
    assert "ssh://USER@HOST:PORT" in caught.value.remedy


def test_a_context_may_name_it(tmp_path: Path) -> None:
    assert endpoint({"HOME": str(tmp_path), "DOCKER_HOST": "ssh://far"}).through_ssh
    assert not endpoint({"HOME": str(tmp_path)}).through_ssh


def test_no_ssh_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unreachable, match="ssh cannot be started: No such file"):
        _ = Daemon(Endpoint("ssh://far")).info


# --- a real one -----------------------------------------------------------------------------------

real = [pytest.mark.needs("docker"), pytest.mark.needs("sshd"), pytest.mark.slow]


class Far:
    """A host called ``far``: its sshd is started for each connection, and ends with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        Path("/run/sshd").mkdir(exist_ok=True)
        for name in ("host", "key"):
            self._run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", name)
        self.write("known", f"far {(folder / 'host.pub').read_text()}")
        self.serve()
        server = shlex.join([shutil.which("sshd") or "/usr/sbin/sshd", "-i", "-e", "-f", f"{folder}/sshd_config"])
        client = {
            "ProxyCommand": f"{server} 2>>{folder}/log",
            "User": "root",
            "IdentityFile": f"{folder}/key",
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": f"{folder}/known",
            "GlobalKnownHostsFile": "none",
        }
        self.write("config", "Host far\n" + "".join(f"{name} {value}\n" for name, value in client.items()))
        program = self.write(
            "bin/ssh", f'#!/bin/sh\necho $$ >>{folder}/started\nexec {shutil.which("ssh")} -F {folder}/config "$@"\n'
        )
        program.chmod(0o755)

    def serve(self, **more: str) -> None:
        """What the server is told."""
        told = {"HostKey": f"{self.folder}/host", "AuthorizedKeysFile": f"{self.folder}/key.pub", **more}
        self.write(
            "sshd_config", "".join(f"{n} {v}\n" for n, v in (*told.items(), ("StrictModes", "no"), ("UsePAM", "no")))
        )

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    def _run(self, *argv: str) -> None:
        subprocess.run(argv, cwd=self.folder, check=True, capture_output=True)

    @property
    def started(self) -> list[int]:
        """Processes that were ssh, or are."""
        path = self.folder / "started"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    @property
    def running(self) -> list[int]:
        return [pid for pid in self.started if Path(f"/proc/{pid}").exists()]


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Far]:
    made = Far(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("DOCKER_HOST", "ssh://far")
    yield made
    assert made.running == []


@pytest.fixture
def backend(far: Far, workshop: Workshop) -> Iterator[DockerBackend]:
    made = DockerBackend(workshop)
    yield made
    made.close()


@pytest.mark.usefixtures("far")
class TestFar:
    pytestmark = real

    def test_an_image_there_and_back(self, backend: DockerBackend, base: Snapshot, small: Assembled, far: Far) -> None:
        placed = backend.materialize(base, small, (), "behind-ssh")
        assert placed.place == "docker:ssh://far"
        assert backend.place.exists(small.image_id, placed.digest) is Presence.YES
        assert backend.place.remove(small.image_id, placed.digest) is True
        assert backend.place.exists(small.image_id, placed.digest) is Presence.NO
        assert len(far.started) <= 4, "connections are used again"

    def test_a_step_there(
        self, backend: DockerBackend, base: Snapshot, workshop: Workshop, events: list[Event], made: Any
    ) -> None:
        script = 'i=0; while [ $i -lt 300 ]; do echo "line $i"; i=$((i+1)); done; echo told > /told'
        after = backend.run_step(base, made.run_step(script, network=False), f"ssh-{os.getpid()}")
        assert LayersFiles(after.layers, workshop.blobs).read("/told", 99) == b"told\n"
        lines = [event.line for event in events if isinstance(event, Output) and event.line.startswith("line")]
        assert lines == [f"line {number}" for number in range(300)]

    def test_a_connection_that_was_lost_is_made_again(self, backend: DockerBackend, far: Far) -> None:
        daemon = backend._daemon
        before = daemon.images("coopery-none")
        for pid in far.running:
            os.kill(pid, signal.SIGKILL)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # the pool is to find it dead, not dying
        assert daemon.images("coopery-none") == before

    def test_a_path_names_the_socket_there(self) -> None:
        there = Daemon(Endpoint("ssh://far/var/run/docker.sock"))
        assert there.version
        there.close()
        absent = Daemon(Endpoint("ssh://far/run/no-such.sock"))
        with pytest.raises(Unreachable, match=r"no-such\.sock"):
            _ = absent.info
        absent.close()


REASONS: list[tuple[str, Callable[[Far], object]]] = [
    ("docker: (command )?not found", lambda far: far.serve(SetEnv="PATH=/no-such-folder")),
    ("Host key verification failed", lambda far: far.write("known", "")),
    ("Permission denied", lambda far: far.serve(AuthorizedKeysFile="none")),
    ("not an answer", lambda far: far.serve(ForceCommand="echo not an answer")),
]


@pytest.mark.parametrize(("said", "spoil"), REASONS, ids=["no docker", "unknown host", "wrong key", "another program"])
@pytest.mark.needs("sshd")
@pytest.mark.processes
def test_what_ssh_says_is_in_the_error(said: str, spoil: Callable[[Far], object], far: Far, workshop: Workshop) -> None:
    spoil(far)
    backend = DockerBackend(workshop)
    with pytest.raises(Unreachable, match=rf"(?s)connecting: ssh://far \(\$DOCKER_HOST\): .*{said}") as caught:
        _ = backend._daemon.info
    assert "ssh HOST docker version" in caught.value.remedy
    assert backend.place.exists(of_bytes(b"x"), of_bytes(b"x")) is Presence.UNKNOWN
    backend.close()
