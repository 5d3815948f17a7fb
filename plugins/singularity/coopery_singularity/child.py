"""Runs a program to its end, output as it comes: within a time, and with nothing left of it whatever happens."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from coopery.errors import BackendError
from coopery_singularity.apptainer import NAME

TIMED_OUT: Final = 124
"""What timeout(1) ends with."""

_PIECE: Final = 1 << 16
_TICK: Final = 0.5
_GUARD: Final = 'read -r _; kill -TERM "$1"; sleep 3; pkill -KILL -P "$1" appinit; sleep 3; kill -KILL "$1"'
_GRACE: Final = 3.0
"""Seconds between a request to end and the next, less kind one; Apptainer unmounts what it mounted in them."""


def run(
    argv: Sequence[str],
    env: Mapping[str, str],
    feed: Callable[[bytes], None],
    seconds: float = 0.0,
    check: Callable[[], None] = lambda: None,
) -> int:
    """Run *argv* with nothing on its input; each piece of its output goes to *feed*.

    Args:
        argv: the program, by absolute path.
        env: its whole environment.
        feed: takes output and errors, in the order in which they came.
        seconds: after which it is ended; 0 for never.
        check: called several times a second; raises to give up.

    Returns:
        Its exit status; 128 + n when signal n ended it; `TIMED_OUT` when it was ended.

    Raises:
        BackendError: it cannot be started.
    """
    deadline = time.monotonic() + seconds if seconds else None
    try:
        process = subprocess.Popen(
            argv,
            env=dict(env),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as exc:
        raise BackendError(NAME, f"{argv[0]} cannot be started: {exc.strerror}") from exc
    try:
        with _guarded(process):
            ended = _follow(process, feed, deadline, check)
    finally:
        _end(process)
    return _status(process.returncode) if ended else TIMED_OUT


@contextmanager
def _guarded(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Have *process* ended as kindly as `_end` does, should we be killed: a shell waits for our end of a pipe to close.

    The kernel's own means (PR_SET_PDEATHSIG) is lost when Apptainer changes its credentials.
    """
    theirs, ours = os.pipe()
    try:
        guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", str(process.pid)],
            stdin=theirs,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
    finally:
        os.close(theirs)
    try:
        yield
    finally:
        guard.kill()
        guard.wait()
        os.close(ours)


def _follow(
    process: subprocess.Popen[bytes],
    feed: Callable[[bytes], None],
    deadline: float | None,
    check: Callable[[], None],
) -> bool:
    """Read to the end of the output; False when the time was up before."""
    assert process.stdout is not None  # noqa: S101 - it was asked for
    output = process.stdout.fileno()
    while True:
        check()
        left = _TICK if deadline is None else deadline - time.monotonic()
        if left <= 0:
            return False
        if select.select([output], [], [], min(left, _TICK))[0]:
            data = os.read(output, _PIECE)
            if not data:
                break
            feed(data)
    while True:  # it closed its output, and may still run
        check()
        if deadline is not None and time.monotonic() >= deadline + _TICK:
            return False
        with suppress(subprocess.TimeoutExpired):
            process.wait(_TICK)
            return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """End all of it. First by asking, then from within: Apptainer itself must live, or nobody unmounts for it."""
    for end in (_ask, _end_inside, _kill):
        if process.poll() is not None:
            break
        end(process)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    _signal(process, signal.SIGKILL)  # what has outlived the program itself: helpers that serve its mounts
    if process.stdout is not None:
        process.stdout.close()


def _ask(process: subprocess.Popen[bytes]) -> None:
    _signal(process, signal.SIGTERM)


def _kill(process: subprocess.Popen[bytes]) -> None:
    _signal(process, signal.SIGKILL)


def _end_inside(process: subprocess.Popen[bytes]) -> None:
    """Kill those of its descendants that are in a process namespace of their own: the first takes all others along."""
    here = os.readlink("/proc/self/ns/pid")
    for pid in _descendants(process.pid):
        with suppress(OSError):
            if os.readlink(f"/proc/{pid}/ns/pid") != here:
                os.kill(pid, signal.SIGKILL)


def _descendants(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            stat = Path("/proc", name, "stat").read_text(encoding="utf-8", errors="replace")
            parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(name))
    found = [root]
    for pid in found:  # grows while it is read
        found += parents.get(pid, [])
    return found[1:]


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _status(code: int) -> int:
    return 128 - code if code < 0 else code
