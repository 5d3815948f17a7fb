"""Which isolation works here: each is tried with the smallest program there is, in a container of nothing.

As root an OCI runtime comes first: it gives a step a ``/dev`` of its own, which ``chroot`` does not. For an ordinary
user that makes no difference, since devices are root's, and ``chroot`` needs the least: no runtime and no cgroups.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from coopery.errors import BackendError
from coopery_podman import buildah, probe
from coopery_podman.buildah import Isolation
from coopery_podman.calling import call
from coopery_podman.guard import guarded
from coopery_podman.memo import remembered

if TYPE_CHECKING:
    from coopery.backend import Workshop
    from coopery_podman.buildah import Buildah

_FOR_ROOT: Final = (Isolation("oci", "runc"), Isolation("oci", "crun"), Isolation("chroot"))
_FOR_USERS: Final = (Isolation("chroot"), Isolation("rootless", "runc"), Isolation("rootless", "crun"))
_SECONDS: Final = 60.0


def candidates() -> tuple[Isolation, ...]:
    """What is tried, in order; OCI runtimes that are not installed are left out."""
    every = _FOR_ROOT if os.geteuid() == 0 else _FOR_USERS
    return tuple(one for one in every if not one.runtime or shutil.which(one.runtime))


def choose(tool: Buildah) -> Isolation:
    """The first isolation that works.

    Raises:
        BackendError: none does; says why each failed. Or buildah itself does not work.
    """
    with tempfile.TemporaryDirectory(prefix="coopery-probe-", ignore_cleanup_errors=True) as folder:
        path = probe.write(Path(folder))
        if path is None:
            return Isolation("chroot")  # we have no program to try with on this machine
        Path(folder).chmod(0o755)
        box = tool.call(buildah.from_("scratch"))
        try:
            return _first(lambda one: _try(tool, box, path, one))
        finally:
            tool.call(buildah.rm(box))


def remembered_choice(workshop: Workshop, tool: Buildah) -> Isolation:
    """As `choose`, tried once for each boot and version."""

    def ask() -> dict[str, Any]:
        found = choose(tool)
        return {"name": found.name, "runtime": found.runtime}

    found = remembered(workshop, "isolation", ask)
    return Isolation(found["name"], found["runtime"])


def _first(attempt: Callable[[Isolation], None]) -> Isolation:
    refusals = []
    for one in candidates():
        try:
            attempt(one)
        except BackendError as exc:
            refusals.append(f"{one}: {exc.message.splitlines()[-1] if exc.message else exc}")
        else:
            return one
    raise BackendError(
        "podman",
        "no isolation of buildah's works here:\n" + "\n".join(refusals),
        remedy="install runc (crun refuses machines with cgroups of both versions), or allow user namespaces",
    )


def _try(tool: Buildah, box: str, program: Path, one: Isolation) -> None:
    words = buildah.run(box, ["/probe"], isolation=one, network="host", mounts=[(program, "/probe", True)])
    call(guarded(tool, tool.argv(words)), tool.backend, seconds=_SECONDS)
