"""A program with this process's own streams and terminal.

It shares our process group, so that what the terminal sends (Ctrl-C, a hang-up) reaches it without us; what others
send to this process is handed on to it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from coopery_podman.calling import absent

if TYPE_CHECKING:
    from coopery_podman.calling import Argv

_HANDED_ON: Final = frozenset(
    {signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
)


def foreground(argv: Argv, backend: str, env: Mapping[str, str]) -> int:
    """Run *argv* to its end.

    Returns:
        Its exit status; 128 + n when signal n ended it.

    Raises:
        BackendError: it cannot be started.
    """
    watched = _HANDED_ON | {signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    try:
        sys.stdout.flush()
        try:
            child = os.posix_spawnp(argv[0], argv, {**os.environ, **env}, setsigmask=before)
        except OSError as exc:
            raise absent(argv[0], backend, exc) from exc
        while True:
            caught = signal.sigwaitinfo(watched)
            if caught.si_signo != signal.SIGCHLD:
                if caught.si_code <= 0:  # a process sent it; what the kernel sent for the terminal, it has already
                    os.kill(child, caught.si_signo)
                continue
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
