"""Which process one is, precisely enough to see later that it has ended: boot, process namespace, number and start.

Source: proc(5). Where there is no ``/proc`` nobody is ever known to have ended.
"""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")
_ENDED = "ended"


def boot() -> str:
    """Which boot of this machine this is: 36 characters, or empty where that is unknown."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def namespace() -> int:
    """What numbers of processes mean here: containers share a boot and not their numbers. 0 where unknown."""
    try:
        return os.stat(_PROC / "self/ns/pid").st_ino
    except OSError:
        return 0


def began(pid: int) -> str:
    """When process *pid* began, in clock ticks since boot; ``ended`` for a zombie; empty where it cannot be read."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The command, in parentheses, may itself hold spaces and parentheses: count from the last one.
    fields = text.rpartition(")")[2].split()
    return _ENDED if fields[0] in "ZX" else fields[19]


def is_gone(pid: int, since: str) -> bool:
    """True only when the process *pid* that began at *since*, in this boot and namespace, is certain to have ended.

    A zombie has ended; a stopped process has not.
    """
    try:
        # /proc may hide other users' processes (hidepid); kill tells absent from forbidden.
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    except OverflowError:
        return False
    now = began(pid)
    return now not in ("", since)
