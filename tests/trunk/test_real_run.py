"""``coopery run`` in a real image: what goes in and what comes out, for root and for an ordinary user."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from trunk import science, small
from trunk.caller import Caller, give, ordinary
from trunk.shared_home import shared_home

pytestmark = pytest.mark.needs("channel", "debian")

CONDA = {"channels": [str(science.CHANNEL)], "dependencies": ["python=3.11", "six"]}
BASE = {"debian": {"suite": "bookworm", "packages": list(science.PACKAGES)}}
STEPS = [{"env": {"COLOR": "green"}}, {"workdir": "/job"}]


@frozen
class Scene:
    """A caller with an image that is built, and a folder of theirs."""

    caller: Caller
    folder: Path
    file: Path
    environ: dict[str, str]

    def __call__(self, *argv: str, options: tuple[str, ...] = (), **more: Any) -> subprocess.CompletedProcess[str]:
        return self.caller("run", "--quiet", *options, self.file, "--", *argv, environ=self.environ, cwd="/", **more)


def scene(caller: Caller, folder: Path, home: Path, channel: Path) -> Scene:
    file = small.write(
        folder,
        base=BASE,
        conda={**CONDA, "channels": [str(channel)]},
        steps=STEPS,
        runtime={"env": {"SHAPE": "round"}},
        target=None,
    )
    (folder / "mounted").mkdir()
    (folder / "mounted" / "in").write_text("from the host\n")
    give(folder, caller)
    made = Scene(caller, folder, file, {"COOPERY_HOME": str(home)})
    caller.build(file, environ=made.environ)
    return made


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return scene(Caller(), tmp_path_factory.mktemp("mine"), shared_home(), science.CHANNEL)


@pytest.fixture(scope="module")
def theirs() -> Iterator[Scene]:
    with ordinary() as (caller, folder):
        shutil.copytree(science.CHANNEL, folder / "channel", copy_function=_link)
        folder.chmod(0o755)
        yield scene(caller, folder, folder / "home", folder / "channel")


def _link(source: str, target: str) -> None:
    """The channel's folder may be closed to others; a hard link is not a copy of a hundred megabytes."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


@pytest.fixture(params=["mine", pytest.param("theirs", marks=pytest.mark.needs("ordinary-user"))])
def go(request: pytest.FixtureRequest) -> Scene:
    found: Scene = request.getfixturevalue(request.param)
    return found


def test_input_output_and_errors_are_the_callers(go: Scene) -> None:
    program = "import sys; print(sys.stdin.read().upper(), end=''); print('also', file=sys.stderr)"
    done = go("python", "-c", program, input="one\ntwo\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "ONE\nTWO\n", "also\n")


def test_the_exit_status_is_the_programs(go: Scene) -> None:
    assert go("bash", "-c", "exit 3").returncode == 3
    assert go("bash", "-c", "kill -KILL $$").returncode == 128 + signal.SIGKILL
    assert go("no-such-program").returncode == 127


def test_the_environment_is_the_images_with_the_callers_on_top(go: Scene) -> None:
    show = "import json, os; print(json.dumps({'env': dict(os.environ), 'cwd': os.getcwd(), 'id': os.getuid()}))"
    plain = json.loads(go("python", "-c", show).stdout)
    assert plain["cwd"] == "/job"
    assert plain["id"] == 0, "in the image everybody is root, unless it says otherwise"
    assert plain["env"].items() >= {"COLOR": "green", "SHAPE": "round", "CONDA_PREFIX": "/opt/env"}.items()
    assert plain["env"]["PATH"].startswith("/opt/env/bin:")
    assert not {name for name in plain["env"] if name.startswith("COOPERY_")}
    options = ("-e", "COLOR=red", "-e", "SHAPE=", "-e", "NEW=a=b", "--workdir", "/srv")
    done = go("python", "-c", show, options=options)
    asked = json.loads(done.stdout)
    assert asked["cwd"] == "/srv"
    assert asked["env"].items() >= {"COLOR": "red", "SHAPE": "", "NEW": "a=b"}.items()


def test_mounts_are_the_hosts_and_nothing_else_is(go: Scene) -> None:
    mounted = go.folder / "mounted"
    done = go("bash", "-c", "cat /data/in; echo out > /data/out; echo x > /x", options=("--mount", f"{mounted}:/data"))
    assert (done.returncode, done.stdout) == (0, "from the host\n")
    assert (mounted / "out").read_text() == "out\n"
    assert (mounted / "out").stat().st_uid == (os.geteuid() if go.caller.user is None else go.caller.user)
    again = go("bash", "-c", f"test -e /x && echo kept; test -e {mounted} && echo seen")
    assert again.stdout == ""


@pytest.mark.parametrize(
    ("program", "status"),
    [("echo ready; exec sleep 60", 143), ("trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done", 5)],
    ids=["default", "handled"],
)
def test_a_signal_reaches_the_program(go: Scene, program: str, status: int) -> None:
    argv = ("run", "--quiet", go.file, "--", "bash", "-c", program)
    with go.caller.start(*argv, environ=go.environ, cwd="/") as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.terminate()
        assert running.wait(20) == status


def test_activation_and_the_interpreter_are_the_images(go: Scene) -> None:
    done = go("python", "-c", "import six, sys; print(sys.executable, sys.prefix, six.__file__)")
    site = "/opt/env/lib/python3.11/site-packages"
    assert done.stdout.split() == ["/opt/env/bin/python", "/opt/env", f"{site}/six.py"]
