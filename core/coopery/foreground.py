"""A program with this process's own streams, terminal and signals: what ``coopery run`` starts on every engine.

It shares our process group, so that what the terminal sends (Ctrl-C, Ctrl-Z, a hang-up) reaches it without us; what
other processes send to this one is handed on to it, once.

As a program of its own (`reaping`), this file is also a parent that buries orphans. It imports only what starts
quickly then: neither coopery nor anything installed.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

HANDED_ON = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2})
"""Signals that a program can be sent through us."""

CANNOT_START = 125
"""Exit status of `reaping`'s parent where the program cannot be started; what it says is the reason."""

_RESTORED = (signal.SIGPIPE, signal.SIGXFSZ)
"""What Python ignores, and programs expect to end them."""

_TICK = 1.0
"""Seconds until a child is asked whether it ended, where its SIGCHLD went to another thread of ours."""


def foreground(argv: Sequence[str], backend: str, env: Mapping[str, str] | None = None) -> int:
    """Run *argv* to its end. Descriptors that are inheritable are inherited.

    Args:
        argv: the program, looked for on PATH unless it is a path, and its arguments.
        backend: who asks, for the error.
        env: the program's whole environment; ours unless given.

    Returns:
        Its exit status; 128 + n when signal n ended it.

    Raises:
        BackendError: it cannot be started.
    """
    try:
        return _run(argv, os.environ if env is None else env, bury=False)
    except OSError as exc:
        from coopery.errors import BackendError

        problem = f"{argv[0]} cannot be started: {exc.strerror or exc}"
        raise BackendError(backend, problem, remedy="coopery doctor says what it needs") from exc


def reaping(argv: Sequence[str]) -> tuple[str, ...]:
    """*argv* below a parent that buries what the program leaves behind; signals and exit status pass through it.

    In containers and sandboxes whose first process buries nothing, or late, an engine that waits for a process that
    it has detached waits for long. Source: prctl(2), PR_SET_CHILD_SUBREAPER.
    """
    if sys.platform != "linux":
        return tuple(argv)
    return (sys.executable, "-I", "-S", __file__, *argv)


@contextmanager
def held() -> Iterator[tuple[frozenset[signal.Signals], set[int]]]:
    """Signals wait until they are asked for, so that none is lost and each tells who sent it.

    Yields:
        Those that wait, SIGCHLD among them; and what this thread had blocked before.
    """
    watched = HANDED_ON | {signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    try:
        yield watched, {int(number) for number in before}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def was_sent(caught: signal.struct_siginfo) -> bool:
    """Whether a process sent *caught*; else the kernel did, for the terminal, and the program has it already.

    Source: sigaction(2), ``si_code``: positive from the kernel.
    """
    return caught.si_signo in HANDED_ON and caught.si_code <= 0


def _run(argv: Sequence[str], env: Mapping[str, str], *, bury: bool) -> int:
    with held() as (watched, before):
        sys.stdout.flush()
        child = os.posix_spawnp(argv[0], tuple(argv), env, setsigmask=before, setsigdef=_RESTORED)
        status = None
        try:
            while status is None:
                caught = signal.sigtimedwait(watched, _TICK)
                if caught is not None and was_sent(caught):
                    with suppress(PermissionError):  # it has become another user's; the terminal still reaches it
                        os.kill(child, caught.si_signo)
                status = _ended(child, bury=bury)
        finally:
            if status is None:
                os.kill(child, signal.SIGTERM)
                os.waitpid(child, 0)
        _settle()
    return status if status >= 0 else 128 - status


def _ended(child: int, *, bury: bool) -> int | None:
    """How *child* ended, as `os.waitstatus_to_exitcode` has it; None while it runs. *bury*: others are reaped too."""
    while True:
        pid, status = os.waitpid(-1 if bury else child, os.WNOHANG)
        if pid == child:
            return os.waitstatus_to_exitcode(status)
        if not pid:
            return None


def _settle() -> None:
    """What came too late for the program: the terminal's was for it, and is dropped; others' stays, and is ours."""
    late = []
    while (caught := signal.sigtimedwait(HANDED_ON, 0)) is not None:
        if was_sent(caught):
            late.append(caught.si_signo)
    for number in late:
        signal.raise_signal(number)


def main(argv: Sequence[str]) -> int:
    """Be the parent that `reaping` speaks of, for the program *argv*."""
    import ctypes

    ctypes.CDLL(None).prctl(36, ctypes.c_ulong(1), 0, 0, 0)
    try:
        return _run(argv, os.environ, bury=True)
    except OSError as exc:
        os.write(2, f"{argv[0]} cannot be started: {exc.strerror or exc}\n".encode())
        return CANNOT_START


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
