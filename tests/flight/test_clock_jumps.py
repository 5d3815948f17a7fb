"""Wall clocks that differ by hours, or jump while a build runs, do no harm: processes that are told a wrong time.

The clock that counts from a machine's start is right in all of them, as it is where somebody sets a machine's clock.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coopery.stores import open_cache
from coopery.testing.scene import Scene

pytestmark = pytest.mark.processes

CHILD = """
import json, sys, time
from pathlib import Path
from coopery.stores import open_cache
from coopery.testing.scene import Scene

folder, url, seconds, ttl, clock = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), float(sys.argv[4]), sys.argv[5]
right = time.time_ns
time.time_ns = lambda: right() + int(Path(clock).read_text()) * 10**9
time.time = lambda: time.time_ns() / 1e9
scene = Scene(folder, open_cache(url, folder))
print(json.dumps(scene.in_threads(2, "key", seconds, ttl)))
"""
HOUR = 3600
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(params=["sqlite", "directory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{request.param}:{tmp_path / 'store'}"


@pytest.fixture
def scene(url: str, tmp_path: Path) -> Iterator[Scene]:
    store = open_cache(url, tmp_path)
    yield Scene(tmp_path, store)
    store.close()


@pytest.fixture
def start(url: str, tmp_path: Path) -> Iterator[Start]:
    """Starts a process that asks for the key; its clock is ahead by so many seconds as a file says."""
    started: list[subprocess.Popen[str]] = []

    def run(seconds: float, ttl: float, clock: Path) -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", CHILD, tmp_path, url, str(seconds), str(ttl), clock]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def answer(process: subprocess.Popen[str]) -> list[dict[str, object]]:
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    found: list[dict[str, object]] = json.loads(out)
    return found


def clock(folder: Path, ahead: int) -> Path:
    """A clock that is *ahead* by so many seconds; written again, it jumps."""
    path = folder / f"clock {ahead}"
    path.write_text(str(ahead))
    return path


def test_a_clock_that_jumps_in_the_middle_makes_no_second_builder(start: Start, scene: Scene, tmp_path: Path) -> None:
    jumping = clock(tmp_path, 0)
    holder = start(4.0, 10.0, jumping)
    scene.await_note("build")
    waiters = [start(4.0, 10.0, clock(tmp_path, ahead)) for ahead in (-HOUR, HOUR)]
    scene.await_note("waiting", 2)
    for ahead in (HOUR, -HOUR, 720 * HOUR):
        jumping.with_name("next").write_text(str(ahead))
        jumping.with_name("next").replace(jumping)
        time.sleep(0.7)
    results = [result for process in (holder, *waiters) for result in answer(process)]
    assert results == [scene.recorded("key")] * 6
    assert (scene.noted("build"), scene.noted("published"), scene.noted("overtaken")) == (1, 1, 0)
    found = scene.store.get("resolution", "key")
    assert found is not None
    assert found.written > time.time() + 700 * HOUR, "the clock did not jump at all"


@pytest.mark.parametrize("ahead", [-HOUR, HOUR])
def test_a_dead_builder_is_replaced_whatever_the_clocks_say(
    start: Start, scene: Scene, tmp_path: Path, ahead: int
) -> None:
    holder = start(60.0, 30.0, clock(tmp_path, ahead))
    scene.await_note("build")
    waiter = start(0.1, 30.0, clock(tmp_path, -ahead))
    scene.await_note("waiting")
    holder.send_signal(signal.SIGKILL)
    assert answer(waiter) == [scene.recorded("key")] * 2
    assert (scene.noted("build"), scene.noted("published")) == (2, 1)
