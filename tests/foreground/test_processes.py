"""Which process one is: seen to have ended only when that is certain."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from coopery import processes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="proc(5) is Linux's")


def test_this_one_is_there() -> None:
    assert len(processes.boot()) == 36
    assert processes.namespace() == os.stat("/proc/self/ns/pid").st_ino
    since = processes.began(os.getpid())
    assert int(since) > 0
    assert not processes.is_gone(os.getpid(), since)
    assert processes.is_gone(os.getpid(), str(int(since) - 1)), "another process had this number"


@pytest.mark.processes
def test_a_zombie_has_ended_and_what_is_gone_is_gone() -> None:
    child = subprocess.Popen(["sleep", "600"])
    since = processes.began(child.pid)
    assert not processes.is_gone(child.pid, since)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert processes.began(child.pid) == "ended"
    assert processes.is_gone(child.pid, since)
    child.wait()
    assert processes.began(child.pid) == ""
    assert processes.is_gone(child.pid, since)


def test_a_number_that_no_process_has() -> None:
    assert not processes.is_gone(1 << 40, "1")
