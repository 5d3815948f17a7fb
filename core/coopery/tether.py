"""A program that does not outlive us, even where a ``kill -9`` leaves us no time to end it.

Where the kernel can do that (Linux), the program is started through a few lines of Python that ask for its death and
then become it. Elsewhere it is started as it is: what ends us in order, ends it as well. A ``preexec_fn`` would need
no second program, but it runs in a copy of a process with threads, where it may hang.
Source: prctl(2), PR_SET_PDEATHSIG; it survives execve(2) of a program that is not set-user-ID.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

CANNOT_START: Final = 126
"""The exit status where the program could not be started; what it says is the reason."""

_CODE: Final = f"""\
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
try:
    os.execv(sys.argv[2], sys.argv[2:])
except OSError as exc:
    os.write(2, (exc.strerror or str(exc)).encode())
    os._exit({CANNOT_START})
"""


def tethered(argv: Sequence[str]) -> list[str]:
    """*argv*, so that its process is killed when the thread that starts it, or this process, ends.

    Args:
        argv: the path of a program, and its arguments.
    """
    if sys.platform != "linux":
        return list(argv)
    # A parent that is gone before the child asked for its death would leave the child alone: hence our number.
    return [sys.executable, "-I", "-S", "-c", _CODE, str(os.getpid()), *argv]
