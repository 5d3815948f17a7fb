"""A program with our own streams: what it is given, how it ends, and that signals reach it once."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import pytest

from coopery.errors import BackendError
from coopery.foreground import CANNOT_START, foreground, reaping

pytestmark = pytest.mark.processes

CALLER = """
import sys
from coopery.foreground import foreground, reaping
argv = sys.argv[2:]
sys.exit(foreground(reaping(argv) if sys.argv[1] == "reaping" else argv, "engine"))
"""
COUNTS = """
import os, signal, sys
caught = []
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(number, lambda number, _: caught.append(number))
print("ready", flush=True)
while not caught:
    signal.pause()
signal.sigtimedwait([], 0.3)  # a second one would come now
print(*[signal.Signals(number).name for number in caught], flush=True)
sys.exit(9)
"""
FORMS = pytest.mark.parametrize("form", ["plain", "reaping"])


@contextmanager
def called(form: str, *argv: str) -> Iterator[subprocess.Popen[bytes]]:
    argv = (sys.executable, "-c", CALLER, form, *argv)
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as child:
        yield child


def become(form: str, *argv: str) -> NoReturn:
    os.execv(sys.executable, [sys.executable, "-c", CALLER, form, *argv])  # noqa: S606 - the child of a fork


@FORMS
@pytest.mark.parametrize(("script", "status"), [("exit 7", 7), ("kill -9 $$", 137), ("kill -15 $$", 143)])
def test_the_status_is_the_programs_own(form: str, script: str, status: int) -> None:
    argv = ("sh", "-c", script)
    assert foreground(reaping(argv) if form == "reaping" else argv, "engine") == status


@FORMS
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"])
def test_what_others_send_is_handed_on_once(form: str, name: str) -> None:
    with called(form, sys.executable, "-c", COUNTS) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        os.kill(child.pid, getattr(signal, name))
        assert child.stdout.read() == f"{name}\n".encode()
        assert child.wait() == 9


@FORMS
def test_ctrl_c_of_a_terminal_reaches_it_once(form: str) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        become(form, sys.executable, "-c", COUNTS)
    said = b""
    try:
        while b"ready" not in said:
            said += os.read(terminal, 1000)
        os.write(terminal, b"\x03")
        while b"SIG" not in said:
            said += os.read(terminal, 1000)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        os.close(terminal)
    assert said.count(b"SIGINT") == 1
    assert status == 9


def test_it_is_not_cut_off_from_the_terminal() -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        become("plain", "sh", "-c", "test -t 0 && read x && echo $x$x")
    os.write(terminal, b"typed\n")
    said = b""
    while b"typedtyped" not in said:
        said += os.read(terminal, 1000)
    assert os.waitpid(pid, 0)[1] == 0
    os.close(terminal)


def test_its_environment_is_the_one_that_is_given(capfd: pytest.CaptureFixture[str]) -> None:
    assert foreground(("/bin/sh", "-c", 'echo "$A|$HOME"'), "engine", {"A": "1\n2"}) == 0
    assert capfd.readouterr().out == "1\n2|\n"


def test_what_is_inheritable_is_inherited_and_nothing_else(capfd: pytest.CaptureFixture[str]) -> None:
    given, kept = os.memfd_create("given"), os.memfd_create("kept")
    try:
        os.write(given, b"content\n")
        os.set_inheritable(given, True)
        script = f"cat /dev/fd/{given}; test ! -e /dev/fd/{kept}"
        assert foreground(("sh", "-c", script), "engine") == 0
    finally:
        os.close(given)
        os.close(kept)
    assert capfd.readouterr().out == "content\n"


def test_a_pipe_that_nobody_reads_ends_it() -> None:
    """Python ignores SIGPIPE, and a program that inherited that would write for ever."""
    assert foreground(("sh", "-c", "kill -PIPE $$; exit 3"), "engine") == 128 + signal.SIGPIPE


def test_what_was_blocked_before_still_is() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    try:
        told = subprocess.check_output(["grep", "SigBlk", "/proc/self/status"])
        assert foreground(("grep", "-q", told.decode().strip(), "/proc/self/status"), "engine") == 0
        assert signal.SIGUSR1 in signal.pthread_sigmask(signal.SIG_BLOCK, [])
        assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


ZOMBIES = """
import os, threading
from coopery.foreground import foreground
statuses = []
thread = threading.Thread(target=lambda: statuses.append(foreground(("sh", "-c", "exit 5"), "engine")))
thread.start()
thread.join()
assert statuses == [5]
try:
    raise SystemExit(str(os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)))
except ChildProcessError:
    pass
"""


def test_no_zombie_is_left_and_a_thread_may_call() -> None:
    """In another thread than the first one, the kernel may give SIGCHLD to a thread that does not wait for it."""
    argv = [sys.executable, "-c", ZOMBIES]  # a process that has no other children
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux's")
def test_orphans_are_buried_by_the_parent_that_reaps() -> None:
    """The program's own child outlives its parent, ends, and is gone, though the program still runs."""
    argv = reaping(("sh", "-c", "pid=$( (sleep 0.1 >&- & echo $!) ); while test -e /proc/$pid; do sleep 0.02; done"))
    assert subprocess.run(argv, timeout=30, check=False).returncode == 0


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(BackendError, match=r"nosuch-program cannot be started: No such file") as caught:
        foreground(("nosuch-program",), "engine")
    assert caught.value.backend == "engine"
    done = subprocess.run(reaping(("nosuch-program",)), capture_output=True, check=False)
    assert (done.returncode, b"nosuch-program cannot be started" in done.stderr) == (CANNOT_START, True)
