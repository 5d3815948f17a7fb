"""SIF files made, asked for, and run on the real engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from coopery.errors import NotFound, UnsupportedError, UsageError
from coopery.place import Presence, RunRequest

pytestmark = [pytest.mark.needs("apptainer"), pytest.mark.processes]


@pytest.fixture
def placed(backend, small):
    return backend.materialize(None, small, (), "small")


@pytest.fixture
def go(backend, placed, capfd, leftovers):
    def run(*argv, **request):
        capfd.readouterr()
        status = backend.place.run(placed.digest, RunRequest(argv=argv, **request))
        out, err = capfd.readouterr()
        assert leftovers() == []
        return status, out, err

    return run


def test_examine_works(backend):
    found = backend.examine()
    assert (found.found, found.works, found.problem) == (True, True, "")
    assert any("runs steps as root" in line for line in found.details)


def test_command_environment_and_folder(go):
    assert go() == (0, "own\n", "")
    status, out, _ = go("sh", "-c", 'pwd; echo "$COLOR"; echo "$EXTRA"; echo "$PATH"', env={"EXTRA": "a b, $c"})
    assert status == 0
    assert out.splitlines() == ["/srv", 'it\'s $green "x"', "a b, $c", "/usr/bin:/bin"]
    assert go("pwd", workdir="/etc")[1] == "/etc\n"


def test_variables_of_a_run_win(go):
    assert go("sh", "-c", "echo $COLOR", env={"COLOR": "red"})[1] == "red\n"


def test_nothing_of_the_host_is_seen(go, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/host")
    monkeypatch.setenv("OF_THE_HOST", "1")
    _, out, _ = go("sh", "-c", "env; ls -A $HOME /tmp")
    assert "OF_THE_HOST" not in out
    assert "/host" not in out
    assert out.splitlines()[-2:] == ["", "/tmp:"] or "/tmp:" in out


def test_status_and_what_is_not_there(go):
    assert go("sh", "-c", "exit 9")[0] == 9
    assert go("sh", "-c", "kill -9 $$")[0] == 137
    assert go("no-such-program")[0] == 127
    assert go("-c")[0] == 127
    assert go("/etc/passwd")[0] == 126


def test_mounts(go, tmp_path):
    folder = tmp_path / 'a, "b" c'
    folder.mkdir()
    assert go("sh", "-c", "echo x > /mnt/point/made", mounts=[(folder, "/mnt/point")])[0] == 0
    assert (folder / "made").read_text() == "x\n"
    with pytest.raises(UsageError, match="nothing is there"):
        go("true", mounts=[(tmp_path / "absent", "/mnt")])
    (tmp_path / "a\nb").mkdir()
    with pytest.raises(UsageError, match="line break"):
        go("true", mounts=[(tmp_path / "a\nb", "/mnt")])


def test_users(go):
    assert go("id", "-u")[1] == f"{os.geteuid()}\n"
    assert go("id", "-u", user="root")[1] == "0\n"
    with pytest.raises(UnsupportedError, match="runs as you"):
        go("id", user="app")


def test_no_driver_is_said(go):
    if Path("/proc/driver/nvidia/version").exists():
        pytest.skip("this machine has a driver")
    with pytest.raises(UnsupportedError, match="no NVIDIA driver"):
        go("id", gpu=True)


def test_apptainer_itself_finds_everything(placed):
    exec_it = ["apptainer", "--silent", "exec", placed.reference, "sh", "-c", 'echo "$COLOR"']
    assert subprocess.run(exec_it, capture_output=True, text=True, check=True).stdout == 'it\'s $green "x"\n'
    run_it = ["apptainer", "--silent", "run", placed.reference]
    assert subprocess.run(run_it, capture_output=True, text=True, check=True).stdout == "own\n"
    given = [*run_it, "printf", "%s|", "a b", "c"]
    assert subprocess.run(given, capture_output=True, text=True, check=True).stdout == "a b|c|"


def test_a_signal_reaches_the_program(backend, placed, workshop, leftovers):
    code = (
        "import sys; from pathlib import Path; sys.path[:0] = sys.argv[3].split(':')\n"
        "import conftest\n"
        "from coopery.place import RunRequest; from coopery_singularity.backend import SingularityBackend\n"
        "backend = SingularityBackend(conftest.shop(Path(sys.argv[1]), print))\n"
        "words = ('sh', '-c', 'trap \"echo got; exit 5\" TERM; echo ready; while :; do sleep 0.1; done')\n"
        "sys.exit(backend.place.run(sys.argv[2], RunRequest(argv=words)))\n"
    )
    paths = ":".join([str(Path(__file__).parent), *filter(None, sys.path)])
    argv = [sys.executable, "-c", code, str(workshop.home), placed.digest, paths]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "got\n"
        assert process.wait(20) == 5
    time.sleep(0.2)
    assert leftovers() == []


def test_snapshot_can_be_looked_at(backend, small, make, capfd, leftovers):
    words = ("sh", "-c", 'id -u; echo "$COLOR"; echo x > /etc/new && cat /etc/new')
    assert backend.run_snapshot(make.snapshot(small), RunRequest(argv=words)) == 0
    assert capfd.readouterr().out.splitlines() == ["0", 'it\'s $green "x"', "x"]
    assert leftovers() == []


def test_removed_and_damaged_are_noticed(backend, small, placed):
    path = Path(placed.reference)
    assert backend.place.exists(small.image_id, placed.digest) is Presence.YES
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b"x")
    assert backend.place.exists(small.image_id, placed.digest) is Presence.NO
    with pytest.raises(NotFound):
        backend.place.run(placed.digest, RunRequest(argv=("true",)))
    again = backend.materialize(None, small, (), "small")
    assert again == placed
    assert path.read_bytes() == data
    assert backend.place.remove(small.image_id, placed.digest)
    assert not backend.place.remove(small.image_id, placed.digest)
    assert backend.place.exists(small.image_id, placed.digest) is Presence.NO
