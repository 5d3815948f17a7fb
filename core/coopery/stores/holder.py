"""Who holds a lease, precisely enough to see that it has died: boot, pid namespace, pid and start time.

Source: proc(5). Where there is no ``/proc`` nobody is ever known to be dead, and only expiry ends a lease.
"""

from __future__ import annotations

import os

from coopery import processes

_me: tuple[int, str] = (0, "")


def me() -> str:
    """This process, as `is_dead` reads it on the same machine."""
    global _me  # noqa: PLW0603 - read from /proc once per process; a fork makes another
    pid = os.getpid()
    if _me[0] != pid:
        _me = (pid, f"{_world()} {pid} {processes.began(pid)}")
    return _me[1]


def is_dead(holder: str) -> bool:
    """True only when *holder* is certain to have ended: same boot, same pid namespace, and no such process now.

    A zombie has ended; a stopped process has not.
    """
    world, _, rest = holder.rpartition(" ")[0].rpartition(" ")
    started = holder.rpartition(" ")[2]
    if not started or not rest.isdigit() or world != _world():
        return False
    return processes.is_gone(int(rest), started)


def _world() -> str:
    """What pids mean here: containers share a boot and not their pids. Empty where unknown, which equals nothing."""
    boot, namespace = processes.boot(), processes.namespace()
    return f"{boot} {namespace}" if boot and namespace else ""
