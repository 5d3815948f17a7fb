"""The ways to run a program in an unpacked image without an engine, best first. Which one works is found by trying.

1. namespace: user, mount and process namespaces by util-linux's ``unshare``. No root needed.
2. chroot: as root, in mount and process namespaces of its own where that is allowed, else with chroot alone.
3. loader: neither is allowed. The image's own program loader starts its program on the host's file system.
"""

from __future__ import annotations

import os
import shutil
from typing import Final

from attrs import frozen

_NAMESPACES: Final = ("--mount", "--pid", "--fork", "--kill-child")


@frozen
class Way:
    """One way to run.

    Attributes:
        name: one word.
        words: what people are told, complete with what is not as in a container.
        launcher: argv to put in front.
        isolated: has mounts and processes of its own; the image is under an overlay.
        user_namespace: has users of its own.
        chroot: the image is the program's ``/``.
    """

    name: str
    words: str
    launcher: tuple[str, ...] = ()
    isolated: bool = False
    user_namespace: bool = False
    chroot: bool = True


_LOADER: Final = Way(
    "loader",
    "the image's own loader on this machine's file system: paths such as the prefix do not exist under their names, "
    "programs that it starts are this machine's, and it is this machine's user",
    chroot=False,
)
_CHROOT: Final = Way("chroot", "chroot as root, on a private copy of the image")


def ways() -> tuple[Way, ...]:
    """What this process may try, best first."""
    unshare = shutil.which("unshare")
    root = os.geteuid() == 0
    found = []
    if unshare:
        launcher = (unshare, "--user", "--keep-caps", *_NAMESPACES)
        words = "user namespace and chroot (unshare)"
        found.append(Way("namespace", words, launcher, isolated=True, user_namespace=True))
    if root and unshare:
        words = "chroot as root, with mounts and processes of its own (unshare)"
        found.append(Way("chroot", words, (unshare, *_NAMESPACES), isolated=True))
    return (*found, *((_CHROOT,) if root else ()), _LOADER)
