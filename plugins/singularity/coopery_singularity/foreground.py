"""Runs a program with this process's own streams and terminal; signals that we are sent are passed on."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from coopery.errors import BackendError
from coopery_singularity.apptainer import NAME

_PASSED_ON: Final = frozenset(
    {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}
)


def run(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run *argv* in the foreground.

    Returns:
        Its exit status; 128 + n when signal n ended it.

    Raises:
        BackendError: it cannot be started.
    """
    with _blocked() as (signals, before):
        try:
            process = subprocess.Popen(
                argv,
                env=dict(env),
                preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, before),  # noqa: PLW1509 - one system call
            )
        except OSError as exc:
            raise BackendError(NAME, f"{argv[0]} cannot be started: {exc.strerror}") from exc
        try:
            while process.poll() is None:
                caught = signal.sigtimedwait(signals, 1.0)
                # A positive code: the kernel sent it, as for Ctrl-C; then the program has it already.
                if caught is not None and caught.si_signo in _PASSED_ON and caught.si_code <= 0:
                    process.send_signal(caught.si_signo)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    return 128 - process.returncode if process.returncode < 0 else process.returncode


@contextmanager
def _blocked() -> Iterator[tuple[frozenset[signal.Signals], set[int]]]:
    """Signals wait until they are asked for, so that each tells who sent it. Also gives what was blocked before."""
    signals = _PASSED_ON | {signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield signals, {int(number) for number in before}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
