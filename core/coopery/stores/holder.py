"""Who holds a lease, precisely enough to see that it has died: boot, pid namespace, pid and start time.

Source: proc(5). Where there is no ``/proc`` nobody is ever known to be dead, and only expiry ends a lease.
"""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")
_me: tuple[int, str] = (0, "")


def me() -> str:
    """This process, as `is_dead` reads it on the same machine."""
    global _me  # noqa: PLW0603 - read from /proc once per process; a fork makes another
    pid = os.getpid()
    if _me[0] != pid:
        _me = (pid, f"{_world()} {pid} {_started(pid)}")
    return _me[1]


def is_dead(holder: str) -> bool:
    """True only when *holder* is certain to have ended: same boot, same pid namespace, and no such process now.

    A zombie has ended; a stopped process has not.
    """
    world, _, rest = holder.rpartition(" ")[0].rpartition(" ")
    started = holder.rpartition(" ")[2]
    if not started or not rest.isdigit() or world != _world():
        return False
    pid = int(rest)
    try:
        # /proc may hide other users' processes (hidepid); kill tells absent from forbidden.
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    now = _started(pid)
    return now not in ("", started)


def _world() -> str:
    """What pids mean here: containers share a boot and not their pids. Empty where unknown, which equals nothing."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.stat(_PROC / 'self/ns/pid').st_ino}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Start time in clock ticks since boot; ``ended`` for a zombie; empty where it cannot be read."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return ""
    # The command, in parentheses, may itself hold spaces and parentheses: count from the last one.
    fields = text.rpartition(")")[2].split()
    return "ended" if fields[0] in "ZX" else fields[19]
