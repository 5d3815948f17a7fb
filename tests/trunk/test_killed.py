"""Builds that are killed, at random and at every point that matters: nothing half-made is found, the next one works."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from attrs import frozen

from conda.maker import Channel
from coopery import faults
from soak import rounds
from trunk import health, small
from trunk.caller import Caller

pytestmark = pytest.mark.processes

FILES = {"base": "scratch", "steps": [{"copy": "data", "to": "/srv/data"}, {"env": {"A": "b"}}]}


@frozen
class Victim:
    """A definition, and a cache folder in which builds of it are killed."""

    file: Path
    home: Path
    untouched: str

    def start(self, **environ: str) -> subprocess.Popen[str]:
        return Caller().start("build", self.file, environ={"COOPERY_HOME": str(self.home), **environ})

    def recovers(self) -> None:
        """What is there is whole, nobody is left, and the next build gives what an untouched one gives."""
        assert health.check(self.home) <= 1
        assert health.processes_of(self.home) == []
        assert Caller().build(self.file, environ={"COOPERY_HOME": str(self.home)})["id"] == self.untouched
        assert health.check(self.home) == 1


def victim(file: Path, folder: Path) -> Victim:
    untouched = Caller().build(file, environ={"COOPERY_HOME": str(folder / "untouched")})["id"]
    return Victim(file, folder / "home", untouched)


@pytest.fixture
def of_files(tmp_path: Path) -> Victim:
    (tmp_path / "data").write_text("data\n")
    file = tmp_path / "files.json"
    file.write_text(json.dumps(FILES))
    return victim(file, tmp_path)


ELSEWHERE = {
    "renew",
    "gc-delete",
    "gc-empty",
    "wheel-fsync",
    "record-point",
    *(name for name in faults.POINTS if name.startswith("slot-")),
}
"""Points that these builds do not pass: those of waiting, gc, wheels and other stores; their own tests kill there."""


@pytest.fixture
def of_packages(tmp_path: Path) -> Victim:
    small.fill(Channel(tmp_path / "channel"))
    return victim(small.write(tmp_path, "tool", "pure", "old", "zlib"), tmp_path)


def killed(running: subprocess.Popen[str]) -> bool:
    """Wait for its end; whether it was killed rather than done."""
    with running:
        _, err = running.communicate(timeout=60)
    assert running.returncode in (0, -signal.SIGKILL), err
    return running.returncode != 0


@pytest.mark.parametrize("point", ["index-replace", "record-put"])
def test_killed_at_a_point(of_files: Victim, point: str) -> None:
    assert killed(of_files.start(COOPERY_FAULT=f"{point}:kill"))
    of_files.recovers()


@pytest.mark.slow
@pytest.mark.parametrize("point", sorted(faults.POINTS - ELSEWHERE))
def test_killed_at_every_point_of_a_build_with_packages(of_packages: Victim, point: str) -> None:
    for passage in (1, 2, 5):
        if not killed(of_packages.start(COOPERY_FAULT=f"{point}:kill:{passage}")):
            break
        assert health.check(of_packages.home) <= 1
    else:
        passage += 1
    assert passage > 1, f"{point} was never passed"
    of_packages.recovers()


@pytest.fixture
def seed() -> int:
    """Shown when the test fails, since it is another one each time."""
    number = random.SystemRandom().randrange(1 << 32)
    print("seed", number)
    return number


@pytest.mark.slow
def test_killed_at_random(of_packages: Victim, seed: int) -> None:
    moments = random.Random(seed)
    ends = 0
    times = rounds(30, 200)
    for _ in range(times):
        running = of_packages.start()
        time.sleep(moments.uniform(0, 1.5))
        running.kill()
        ends += not killed(running)
        health.check(of_packages.home)
    assert ends < times, "every build was over before it was killed"
    of_packages.recovers()


@pytest.mark.slow
def test_a_rebuild_that_is_killed_leaves_the_generation_before(of_files: Victim) -> None:
    environ = {"COOPERY_HOME": str(of_files.home)}
    first = Caller().build(of_files.file, environ=environ)
    argv = ("build", "--rebuild", of_files.file)
    assert killed(Caller().start(*argv, environ={**environ, "COOPERY_FAULT": "record-put:kill"}))
    again = Caller().build(of_files.file, environ=environ)
    assert (again["hit"], again["generation"], again["id"]) == (True, 1, first["id"])
    done = Caller()(*argv, "--output", "json", environ=environ)
    assert json.loads(done.stdout)["images"][0]["generation"] == 2
    assert health.check(of_files.home) == 1


def test_who_waits_for_a_builder_that_is_killed_builds_instead(of_files: Victim) -> None:
    """The lease of a process that is gone is free at once."""
    builder = of_files.start(COOPERY_FAULT="blob-fsync:sleep=60")
    wait_for_line(builder, "steps:")
    waiter = of_files.start()
    wait_for_line(waiter, "waiting:")
    builder.kill()
    assert killed(builder)
    assert not killed(waiter)
    of_files.recovers()


def wait_for_line(running: subprocess.Popen[str], word: str) -> None:
    """Read what it says on stderr until *word* comes."""
    assert running.stderr is not None
    assert any(word in line for line in running.stderr), f"it ended without saying {word!r}"
