"""Signals, terminals, other users, and what is left when somebody is killed: with a real process around each run."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # left out of make check: much of it waits, or goes through many cases

NAMESPACE = ("namespace", True)
CHROOT = ("chroot", False)
LOADER = ("loader", False)

WAYS = [
    pytest.param([NAMESPACE], marks=pytest.mark.needs("namespaces"), id="namespace"),
    pytest.param(
        [CHROOT],
        marks=[
            pytest.mark.slow,
            pytest.mark.needs("chroot"),
            pytest.mark.skipif(os.geteuid() != 0, reason="only root may chroot"),
        ],
        id="chroot",
    ),
    pytest.param([LOADER], marks=pytest.mark.slow, id="loader"),
]


@pytest.mark.parametrize("ways", WAYS)
def test_input_comes_through_and_the_way_is_said_first(runner, ways):
    with runner.start("sh", "-c", "read line; echo got $line", ways=ways, stdin=-1, stdout=-1, stderr=-1) as started:
        out, err = started.communicate(b"hello\n", timeout=30)
    assert out == b"got hello\n"
    assert err.startswith(b"run: ")


@pytest.mark.parametrize("ways", WAYS)
def test_signals_are_passed_on(runner, ways):
    traps = "trap 'echo TERM' TERM; trap 'echo INT' INT; trap 'echo HUP' HUP; trap 'echo USR1; exit 9' USR1"
    script = f"{traps}; echo ready; while :; do sleep 0.02; done"
    with runner.start("sh", "-c", script, ways=ways, stdout=subprocess.PIPE) as started:
        assert started.stdout.readline() == b"ready\n"
        for name in ("TERM", "INT", "HUP", "USR1"):
            started.send_signal(signal.Signals[f"SIG{name}"])
            assert started.stdout.readline().decode().strip() == name
        assert started.wait(20) == 9
    assert runner.leftovers == []


@pytest.mark.parametrize("ways", WAYS[:1])
def test_a_program_that_does_not_catch_it_ends_by_the_signal(runner, ways):
    with runner.start("sh", "-c", "echo ready; exec sleep 60", ways=ways, stdout=subprocess.PIPE) as started:
        assert started.stdout.readline() == b"ready\n"
        started.terminate()
        assert started.wait(20) == 128 + signal.SIGTERM


@pytest.mark.parametrize("ways", WAYS)
@pytest.mark.parametrize("ending", ["exit 3", "wait"], ids=["ends", "is killed"])
def test_nothing_is_left_running(runner, ways, ending):
    length = f"1{time.monotonic_ns()}"  # a sleep that nobody else has
    script = f"(sleep {length} &) ; sleep {length} & echo ready; {ending}"
    with runner.start("sh", "-c", script, ways=ways, stdout=subprocess.PIPE) as started:
        assert started.stdout.readline() == b"ready\n"
        if ending == "wait":
            assert _until(lambda: _ends_with(length))
            started.kill()
        started.wait(20)
        assert _until(lambda: not _ends_with(length))
    assert _until(lambda: runner.leftovers == [])


@pytest.mark.needs("namespaces")
def test_ctrl_c_reaches_the_program_once(runner):
    script = "trap 'echo caught' INT; echo ready; sleep 0.3; sleep 0.3; echo end"
    controller, terminal = pty.openpty()
    with runner.start(
        "sh", "-c", script, stdin=terminal, stdout=terminal, stderr=terminal, preexec_fn=_take_terminal
    ) as started:
        os.close(terminal)
        assert b"ready" in _read_until(controller, b"ready")
        os.write(controller, b"\x03")
        rest = _read_until(controller, b"end")
        assert started.wait(20) == 0
    os.close(controller)
    assert rest.count(b"caught") == 1


@pytest.mark.needs("namespaces")
def test_an_ignored_signal_stays_ignored(runner):
    ignore = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)  # noqa: E731 - runs between fork and exec
    with runner.start("sh", "-c", "kill -HUP $$; echo alive", stdout=subprocess.PIPE, preexec_fn=ignore) as started:
        assert started.communicate(timeout=20)[0] == b"alive\n"


def test_leftovers_of_a_crash_go_with_the_next_run(runner, running_shop):
    crashed = running_shop.home / "running" / "run-crashed" / "work" / "work"
    crashed.mkdir(parents=True)
    crashed.chmod(0)
    assert runner("sh", "-c", ":").returncode == 0
    assert runner.leftovers == []


@pytest.mark.parametrize("ways", [(), [NAMESPACE]], ids=["others left", "none left"])
def test_a_later_way_is_taken_when_an_earlier_one_is_refused(runner, tmp_path, ways):
    unshare = tmp_path / "unshare"
    unshare.write_text("#!/bin/sh\necho 'unshare: not today' >&2; exit 1\n")
    unshare.chmod(0o755)
    done = runner("sh", "-c", "echo here", ways=ways, path=tmp_path)
    if ways:
        assert "namespace: unshare: not today" in done.stderr
    else:
        assert done.stdout == "here\n"
        assert "not today" not in done.stderr


@pytest.mark.needs("namespaces", "ordinary-user")
def test_an_ordinary_user_needs_no_root(ordinary):
    done = ordinary("sh", "-c", "id -u; echo x > /new; rm /etc/passwd; exit 5")
    assert (done.returncode, done.stdout) == (5, "0\n")
    assert done.stderr.startswith("run: user namespace and chroot")
    assert ordinary.leftovers == []


@pytest.mark.needs("namespaces", "ordinary-user")
def test_an_ordinary_user_is_whom_the_image_asks_for(ordinary):
    done = ordinary("sh", "-c", "id; : > /new && stat -c %u:%g /new /etc/passwd", user="app")
    assert done.stdout.splitlines() == ["uid=1000(app) gid=1001(apps) groups=1001(apps)", "1000:1001", "1000:1001"]
    assert ordinary.leftovers == []


@pytest.mark.needs("ordinary-user")
def test_an_ordinary_user_without_namespaces_has_the_loader(ordinary):
    done = ordinary("sh", "-c", "read first < ../etc/passwd; echo $first", ways=[LOADER])
    assert done.stdout == "root:x:0:0:root:/root:/bin/sh\n"
    assert ordinary.leftovers == []


def _ends_with(word: str) -> bool:
    """Whether a process runs whose last argument is *word*."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cmdline").read_bytes().endswith(f"\0{word}\0".encode()):
                return True
        except OSError:
            continue
    return False


def _until(true, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.02)
    return False


def _take_terminal() -> None:
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _read_until(descriptor: int, word: bytes) -> bytes:
    data = b""
    while word not in data:
        try:
            data += os.read(descriptor, 4096)
        except OSError:  # EIO: the other side is closed
            break
    return data
