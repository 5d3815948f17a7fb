"""Running images by a real podman: what the program gets, its status, signals; and snapshots, to look at."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from coopery.backend import Workshop
from coopery.digest import Digest, hex_of
from coopery.errors import UnsupportedError, UsageError
from coopery.image import Assembled
from coopery.place import RunRequest
from coopery_podman import podman
from coopery_podman.backend import PodmanBackend
from coopery_podman.ways import way

pytestmark = [pytest.mark.needs("buildah", "podman-run"), pytest.mark.processes]


@pytest.fixture
def digest(backend: PodmanBackend, make: SimpleNamespace, small: Assembled) -> Digest:
    return backend.materialize(make.snapshot(small), small, (), "run").digest


def test_what_the_program_gets(
    backend: PodmanBackend, digest: Digest, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").write_text("mounted\n")
    script = (
        'cat /data/in; echo "$A|$PATH|$COLOR"; echo $PWD; id -u; echo "$@"; echo out > /data/out; echo err >&2; exit 7'
    )
    request = RunRequest(
        ("sh", "-c", script, "-", "--privileged", "a b"),
        env={"A": "1\n2 $x", "PATH": "/usr/bin:/mine"},
        mounts=[(tmp_path, "/data")],
        workdir="/tmp",
        user="0:0",
    )
    assert backend.place.run(digest, request) == 7
    out, err = capfd.readouterr()
    assert out == "mounted\n1\n2 $x|/usr/bin:/mine|green\n/tmp\n0\n--privileged a b\n"
    assert err.endswith("err\n")
    assert (tmp_path / "out").read_text() == "out\n"


def test_its_own_command(backend: PodmanBackend, digest: Digest, capfd: pytest.CaptureFixture[str]) -> None:
    assert backend.place.run(digest, RunRequest()) == 0
    assert capfd.readouterr().out == "own\n"


def test_a_program_that_is_not_there(backend: PodmanBackend, digest: Digest) -> None:
    assert backend.place.run(digest, RunRequest(("nosuch",))) == 127


def test_what_cannot_be_mounted_is_refused(backend: PodmanBackend, digest: Digest, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing is there"):
        backend.place.run(digest, RunRequest(("true",), mounts=[(tmp_path / "absent", "/x")]))
    with pytest.raises(UsageError):
        backend.place.run(digest, RunRequest(("true",), env={"A B": "1"}))


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="this machine has the driver")
def test_no_gpu_is_said_plainly(backend: PodmanBackend, digest: Digest) -> None:
    with pytest.raises(UnsupportedError, match="no NVIDIA driver"):
        backend.place.run(digest, RunRequest(("true",), gpu=True))


def test_signals_are_handed_on_and_nothing_is_left(session_shop: Workshop, digest: Digest, small: Assembled) -> None:
    script = "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.1; done"
    argv = podman.run(hex_of(small.image_id), ("sh", "-c", script), way=way(session_shop))
    code = "import sys; from coopery.foreground import foreground; sys.exit(foreground(sys.argv[1:], 'x'))"
    with subprocess.Popen(
        [sys.executable, "-c", code, *argv], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(0.3)
        os.kill(child.pid, signal.SIGTERM)
        assert child.stdout.read() == b"caught\n"
        assert child.wait(30) == 9
    assert subprocess.check_output(["podman", "ps", "--all", "--quiet"]) == b""


def test_a_program_that_handles_no_signal_is_ended_by_one(session_shop: Workshop, small: Assembled) -> None:
    if not podman.init():
        pytest.skip("no catatonit, tini-static or docker-init on this machine")
    image = hex_of(small.image_id)
    killed = podman.run(image, ("sh", "-c", "kill -TERM $$; echo still here"), way=way(session_shop))
    done = subprocess.run(killed, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, b"")


def test_a_snapshot_can_be_looked_at(
    backend: PodmanBackend, make: SimpleNamespace, small: Assembled, capfd: pytest.CaptureFixture[str]
) -> None:
    request = RunRequest(("sh", "-c", "echo $COLOR; exit 3"))
    assert backend.run_snapshot(make.snapshot(small), request) == 3
    assert capfd.readouterr().out == "green\n"


def test_examined(backend: PodmanBackend) -> None:
    found = backend.examine()
    assert (found.found, found.works, found.problem) == (True, True, "")
    assert found.version[0].isdigit()
    assert any("isolation" in line for line in found.details)
    assert any(line.startswith("runs images by podman") for line in found.details)


def test_activation_scripts_are_sourced_first(
    backend: PodmanBackend,
    session_shop: Workshop,
    make: SimpleNamespace,
    small: Assembled,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = "opt/env/etc/conda/activate.d"
    lower = [make.text(f"{folder}/a 'x.sh", b"exit 9\n")]
    upper = [
        make.text(f"{folder}/b.sh", b'export SEEN="$SEEN b"\n'),
        make.text(f"{folder}/a 'x.sh", b"export SEEN=a\n"),
        make.text(f"{folder}/c.fish", b"exit 9\n"),
    ]
    layers = [*small.layers, make.layer(session_shop, lower), make.layer(session_shop, upper)]
    image = make.image(layers, Env=["PATH=/usr/bin", "CONDA_PREFIX=/opt/env"], Cmd=["env"])
    digest = backend.materialize(make.snapshot(image), image, (), "activation").digest
    assert backend.place.run(digest, RunRequest(("sh", "-c", 'echo "$SEEN $1"', "sh", "$(id) *"))) == 0
    assert capfd.readouterr().out == "a b $(id) *\n"
    assert backend.place.run(digest, RunRequest()) == 0
    assert "SEEN=a b\n" in capfd.readouterr().out
