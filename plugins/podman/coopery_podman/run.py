"""Running a process in an image, by podman: it does terminals, their size and signals right."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from coopery import driver
from coopery.errors import BackendError, NotFound
from coopery.foreground import foreground, reaping
from coopery_podman import grammar, podman
from coopery_podman.activation import activated
from coopery_podman.storage import LookError, locate, manifests
from coopery_podman.ways import way

if TYPE_CHECKING:
    from coopery.backend import Workshop
    from coopery.digest import Digest
    from coopery.place import RunRequest

_BACKEND: Final = "podman"
_OWN: Final = (
    "PATH",
    "HOME",
    "USER",
    "TMPDIR",
    "GODEBUG",
    "NOTIFY_SOCKET",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
)
_OWN_PREFIXES: Final = ("XDG_", "CONTAINER", "STORAGE_", "PODMAN", "BUILDAH", "REGISTRY_", "DBUS_", "LD_", "_")


def run(workshop: Workshop, image: str, request: RunRequest) -> int:
    """Run *request* in the image with the id *image*, with this process's streams.

    Returns:
        The program's exit status; 128 + n when signal n ended it; 127 or 126 when it is not there or no program.

    Raises:
        UnsupportedError: GPUs were asked for, and this machine has none to pass on.
        UsageError, BackendError: the request cannot be run here.
    """
    devices = (driver.DEVICES,) if request.gpu else ()
    if request.gpu:
        driver.demand_cdi(_BACKEND, toolkit=shutil.which("nvidia-ctk") is not None)
    spelled, passed = _variables(request)
    argv = podman.run(
        image,
        activated(workshop, image, tuple(request.argv)),
        way=way(workshop),
        env=spelled,
        pass_env=passed,
        mounts=[(grammar.existing(Path(source)), target) for source, target in request.mounts],
        read_only=request.read_only,
        workdir=request.workdir,
        user=request.user,
        terminal=sys.stdin.isatty() and sys.stdout.isatty(),
        devices=devices,
    )
    return foreground(reaping(argv), _BACKEND, {**os.environ, **passed})


def with_manifest(workshop: Workshop, digest: Digest) -> str:
    """The id of the image whose manifest is *digest*.

    Raises:
        NotFound: it is not here.
        BackendError: the storage cannot be read.
    """
    try:
        images = locate(workshop).images()
    except LookError as exc:
        raise BackendError(_BACKEND, f"the storage cannot be read: {exc}") from exc
    for record in images:
        if digest in manifests(record):
            return str(record["id"])
    raise NotFound(f"podman: no image {digest}", remedy="build its definition again")


def _variables(request: RunRequest) -> tuple[dict[str, str], dict[str, str]]:
    """Those that must stand in the command line, since podman itself would obey them; and all others.

    A command line can be read by every user of the machine.
    """
    spelled = {name: value for name, value in request.env.items() if name in _OWN or name.startswith(_OWN_PREFIXES)}
    return spelled, {name: value for name, value in request.env.items() if name not in spelled}
