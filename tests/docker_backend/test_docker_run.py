"""Processes in images, through the docker command line: streams, status, signals, options."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coopery import driver
from coopery.backend import Snapshot, Workshop
from coopery.digest import Digest
from coopery.errors import BackendError, NotFound, UnsupportedError, UsageError
from coopery.image import Assembled
from coopery.place import RunRequest
from coopery_docker import materialize, run
from coopery_docker.backend import DockerBackend
from coopery_docker.client import Daemon
from coopery_docker.place import DockerPlace

needs_docker = pytest.mark.needs("docker")


@pytest.fixture
def image(workshop: Workshop, daemon: Daemon, small: Assembled) -> Iterator[Digest]:
    name = materialize.put(workshop, daemon, small, f"coopery:run-test-{os.getpid()}")
    yield name
    daemon.remove_image(f"coopery:run-test-{os.getpid()}")


@pytest.fixture
def place(backend: DockerBackend) -> DockerPlace:
    return backend.place


@needs_docker
def test_env_folder_user_mounts_and_status(
    place: DockerPlace, image: Digest, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shared = tmp_path / "a,b"
    shared.mkdir()
    (shared / "in").write_text("from the host\n")
    script = 'echo "$A|$B|$COLOR"; pwd; id -u; cat /mnt/in; echo out > /mnt/out; echo err >&2; exit 3'
    env = {"A": "a b=c", "B": "two\nlines"}
    request = RunRequest(("sh", "-c", script), env, [(shared, "/mnt")], "/old", "0")
    assert place.run(image, request) == 3
    out, err = capfd.readouterr()
    assert out == "a b=c|two\nlines|green\n/old\n0\nfrom the host\n"
    assert "err" in err
    assert (shared / "out").read_text() == "out\n"


@needs_docker
def test_without_a_command_the_images_own_runs(
    place: DockerPlace, image: Digest, capfd: pytest.CaptureFixture[str]
) -> None:
    assert place.run(image, RunRequest()) == 0
    assert capfd.readouterr().out == "own\n"


@needs_docker
@pytest.mark.parametrize("name", ["--privileged", "-x", "no such program"])
def test_names_are_names(place: DockerPlace, image: Digest, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert place.run(image, RunRequest((name, "--help"))) == 127
    assert "exec" in capfd.readouterr().err


@needs_docker
def test_activation_scripts_are_sourced_first(
    place: DockerPlace, workshop: Workshop, daemon: Daemon, small: Assembled, made: SimpleNamespace, capfd: Any
) -> None:
    folder = "opt/env/etc/conda/activate.d"
    scripts = [
        made.text(f"{folder}/b.sh", b'export SEEN="$SEEN b"\n'),
        made.text(f"{folder}/a 'x.sh", b"export SEEN=a\n"),
    ]
    top = made.layer_of(workshop, *scripts, made.text(f"{folder}/c.fish", b"exit 9"))
    image = made.image_of([*small.layers, top], {"Env": ["PATH=/usr/bin", "CONDA_PREFIX=/opt/env"], "Cmd": ["env"]})
    name = materialize.put(workshop, daemon, image, f"coopery:activation-test-{os.getpid()}")
    assert place.run(name, RunRequest(("sh", "-c", 'echo "$SEEN $1"', "sh", "$(id) *"))) == 0
    assert capfd.readouterr().out == "a b $(id) *\n"
    assert place.run(name, RunRequest()) == 0
    assert "SEEN=a b\n" in capfd.readouterr().out
    daemon.remove_image(name, force=True)
    assert made.Leaks(daemon).containers == []


@needs_docker
def test_an_image_that_is_not_here_is_not_found(place: DockerPlace) -> None:
    with pytest.raises(NotFound):
        place.run(Digest("sha256:" + "2" * 64), RunRequest(("true",)))


@needs_docker
def test_a_snapshot_can_be_looked_at(backend: DockerBackend, base: Snapshot, capfd: pytest.CaptureFixture[str]) -> None:
    assert backend.run_snapshot(base, RunRequest(("sh", "-c", "echo $COLOR; pwd"))) == 0
    assert capfd.readouterr().out == "green\n/tmp\n"


@needs_docker
@pytest.mark.processes
@pytest.mark.parametrize(("number", "expected"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 138)])
def test_signals_are_passed_on(
    image: Digest, number: signal.Signals, expected: int, daemon: Daemon, made: SimpleNamespace
) -> None:
    code = (
        "import sys; from coopery_docker.client import Daemon; from coopery_docker.endpoint import endpoint\n"
        "from coopery_docker.run import run; from coopery.place import RunRequest\n"
        "sys.exit(run(Daemon(endpoint()), sys.argv[1], RunRequest(('sh', '-c', 'echo begun; sleep 60 & wait'))))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, image], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as runs:
        assert runs.stdout is not None
        assert runs.stdout.readline() == b"begun\n"
        time.sleep(0.3)
        runs.send_signal(number)
        assert runs.wait(20) == expected


@needs_docker
@pytest.mark.processes
def test_a_terminal_is_one(image: Digest) -> None:
    import pty

    code = (
        "import sys; from coopery_docker.client import Daemon; from coopery_docker.endpoint import endpoint\n"
        "from coopery_docker.run import run; from coopery.place import RunRequest\n"
        "sys.exit(run(Daemon(endpoint()), sys.argv[1], RunRequest(('tty',))))"
    )
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", code, image], stdin=theirs, stdout=theirs, stderr=theirs) as runs:
        os.close(theirs)
        assert runs.wait(20) == 0
    assert b"/dev/pts/" in os.read(ours, 4096)
    os.close(ours)


def test_variables_that_docker_cannot_set_are_refused() -> None:
    for name in ("", "a b", "#x", "a=b", "a\nb"):
        with pytest.raises(UsageError):
            run._variables({name: "value"})
    with pytest.raises(UsageError):
        run._variables({"A": "nul\0"})


def test_values_never_stand_on_a_command_line_unless_they_must() -> None:
    lines, spelled = run._variables({"A": "secret", "B": "two\nlines"})
    assert lines == b"A=secret\n"
    assert spelled == ("--env=B=two\nlines",)


class Told:
    """What a daemon says of itself."""

    def __init__(self, **info: Any) -> None:
        self.info = info
        self.endpoint = SimpleNamespace(socket="/run/docker.sock", place="docker:")

    def image(self, _name: str) -> dict[str, Any]:
        return {"Id": "sha256:0"}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine's files as the driver would have them; and nothing of NVIDIA's on PATH."""
    monkeypatch.setattr(driver, "ROOT", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in ("dev", "etc/cdi", "bin"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def test_no_driver_is_said_plainly(machine: Path) -> None:
    with pytest.raises(UnsupportedError) as caught:
        run.gpu_options(Told())  # type: ignore[arg-type]  # it is asked for its info alone
    assert "no NVIDIA driver" in caught.value.message
    assert caught.value.ability == "gpu"


def test_gpus_are_asked_for_as_the_daemon_takes_them(machine: Path) -> None:
    """No driver here is needed for that: what counts are its files and what the daemon says."""
    (machine / "dev" / "nvidiactl").touch()
    with pytest.raises(UnsupportedError, match="install nvidia-container-toolkit"):
        run.gpu_options(Told())  # type: ignore[arg-type]  # as above
    assert run.gpu_options(Told(Runtimes={"nvidia": {}})) == ("--gpus=all",)  # type: ignore[arg-type]  # as above
    (machine / "bin" / "nvidia-container-runtime-hook").write_text("#!/bin/sh\n")
    (machine / "bin" / "nvidia-container-runtime-hook").chmod(0o755)
    assert run.gpu_options(Told()) == ("--gpus=all",)  # type: ignore[arg-type]  # as above
    (machine / "etc" / "cdi" / "nvidia.yaml").write_text("kind: nvidia.com/gpu\n")
    assert run.gpu_options(Told()) == ("--gpus=all",), "a daemon that knows no CDI"  # type: ignore[arg-type]  # as above
    known = Told(CDISpecDirs=["/etc/cdi"])
    assert run.gpu_options(known) == ("--device=nvidia.com/gpu=all",)  # type: ignore[arg-type]  # as above


def test_a_daemon_elsewhere_is_trusted_to_have_gpus() -> None:
    told = Told()
    told.endpoint = SimpleNamespace(socket="", place="docker:tcp://far")
    assert run.gpu_options(told) == ("--gpus=all",)  # type: ignore[arg-type]  # as above


def test_no_command_line_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(BackendError, match="command line"):
        run.run(Told(), "image", RunRequest(("true",)))  # type: ignore[arg-type]  # it is not asked
