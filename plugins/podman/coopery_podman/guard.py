"""Namespaces around an engine's process, so that whatever ends it ends all of it.

A step's process is started by a runtime that is started by buildah: killing buildah alone leaves it running. Inside a
process namespace of its own, the kernel kills every process when the first one goes, and with a mount namespace of its
own every mount goes too. ``setpriv --pdeathsig`` carries that over to the death of this process, kill -9 included: it
comes with the ``unshare`` that is needed here anyway, and works below ``buildah unshare`` too, where `coopery.tether`
could not know the number of its parent.
"""

from __future__ import annotations

import os
import subprocess
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from coopery_podman.buildah import Buildah
    from coopery_podman.calling import Argv

_DIES_WITH_US: Final = ("setpriv", "--pdeathsig", "KILL", "--")
_ALONE: Final = ("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc")
_SECONDS: Final = 20


def guarded(tool: Buildah, argv: Argv, *, network: bool = True) -> Argv:
    """*argv*, a whole argument vector, inside the namespaces that this machine allows.

    Args:
        tool: whose ``unshare`` gives an ordinary user the ids of an image.
        argv: what to start.
        network: False: in a network of its own, with nothing in it. Needs what `alone` tells.
    """
    if not alone(tool):
        return argv
    return (*_prefix(tool), *(() if network else ("--net",)), "--", *argv)


@cache
def alone(tool: Buildah) -> bool:
    """Whether this machine allows such namespaces: tried once."""
    try:
        argv = (*_prefix(tool), "--net", "--", "true")
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_SECONDS, start_new_session=True
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _prefix(tool: Buildah) -> Argv:
    from coopery_podman.buildah import unshare

    if os.geteuid() == 0:
        return (*_DIES_WITH_US, *_ALONE)
    return (*_DIES_WITH_US, *tool.argv(unshare((*_DIES_WITH_US, *_ALONE))))
