"""uv ends with whoever started it, however that ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from coopery.definition import Pip
from coopery.errors import PluginError
from coopery.settings import Settings
from coopery.tether import tethered
from coopery_pip import uv
from coopery_pip.access import Access
from coopery_pip.machine import Machine
from coopery_pip.sources import sources

pytestmark = [pytest.mark.processes, pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux's")]

STARTER = """
import subprocess, sys
from coopery.tether import tethered
subprocess.run(tethered(sys.argv[1:]), check=False)
"""


@pytest.fixture
def sleeper(tmp_path: Path) -> Path:
    """A program that says its number and its arguments, then waits."""
    program = tmp_path / "sleeper"
    program.write_text('#!/bin/sh\necho "$$ $*" > "$1.tmp"; mv "$1.tmp" "$1"\nexec sleep 600\n')
    program.chmod(0o755)
    return program


def running(pid: int) -> bool:
    """Not gone, nor only waiting to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_it_does_not_outlive_a_kill(sleeper: Path, tmp_path: Path) -> None:
    told = tmp_path / "told"
    starter = subprocess.Popen([sys.executable, "-c", STARTER, str(sleeper), str(told), "two words"])
    until(told.exists)
    number, _, words = told.read_text().partition(" ")
    assert words == f"{told} two words\n"
    assert running(int(number))
    starter.kill()
    starter.wait()
    until(lambda: not running(int(number)))


def test_who_is_gone_before_it_begins_leaves_nothing(sleeper: Path, tmp_path: Path) -> None:
    argv = tethered([str(sleeper), str(tmp_path / "told")])
    argv[argv.index(str(os.getpid()))] = "1" if os.getppid() != 1 else "2"  # the number of a parent that it has not
    assert subprocess.run(argv, check=False).returncode == 1
    assert not (tmp_path / "told").exists()


def test_a_program_that_cannot_be_started(tmp_path: Path) -> None:
    broken = tmp_path / "uv"
    broken.write_text("no program")
    question = uv.Question(tmp_path, ["a"], [], sources(Pip(), tmp_path, Settings(home=tmp_path)), Machine("3.12", "x"))
    with pytest.raises(PluginError, match=r"uv: cannot be started: Permission denied"):
        uv.Uv(str(broken), tmp_path / "cache").compile(question, Access(question.sources), {})
