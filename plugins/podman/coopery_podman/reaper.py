"""A parent for podman that buries what podman leaves behind.

``podman run`` waits until conmon, which it has detached, is gone. In containers and sandboxes whose first process
reaps nothing, or late, conmon stays as a zombie and podman gives up only after 20 seconds, for each run. A few lines of
Python between us and podman become conmon's parent instead, and reap it at once.
Source: prctl(2), PR_SET_CHILD_SUBREAPER.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from coopery_podman.calling import Argv

_CODE: Final = """\
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(36, ctypes.c_ulong(1), 0, 0, 0)
handed = {signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
watched = handed | {signal.SIGCHLD}
before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
try:
    child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, setsigmask=before)
except OSError as exc:
    os.write(2, (exc.strerror or str(exc)).encode())
    os._exit(125)
while True:
    caught = signal.sigwaitinfo(watched)
    if caught.si_signo != signal.SIGCHLD:
        if caught.si_code <= 0:
            os.kill(child, caught.si_signo)
        continue
    ended = True
    while ended:
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
"""


def reaping(argv: Argv) -> Argv:
    """*argv*, a whole ``podman run``, below a parent that reaps; signals and exit status pass through it."""
    if sys.platform != "linux":
        return argv
    return (sys.executable, "-I", "-S", "-c", _CODE, *argv)
