"""How podman runs containers here, found by trying: with the smallest program there is, and no image.

Podman's own choices come first. What stands in the way elsewhere: crun refuses a machine with cgroups of both
versions; raising limits needs a privilege that root lacks in some containers; a bridge needs a network plugin.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from coopery.errors import BackendError
from coopery.folders import scratch
from coopery.foreground import reaping
from coopery_podman import podman, probe
from coopery_podman.calling import call
from coopery_podman.memo import remembered
from coopery_podman.podman import Way

if TYPE_CHECKING:
    from coopery.backend import Workshop

_SECONDS: Final = 60.0
_BACKEND: Final = "podman"


def way(workshop: Workshop) -> Way:
    """The first way that works, tried once for each boot and version.

    Raises:
        BackendError: podman is not installed, or nothing works; says why.
    """

    def ask() -> dict[str, Any]:
        with scratch(workshop.staging, "podman-probe") as folder:
            found = find(folder)
        return {"runtime": found.runtime, "network": found.network, "limits": list(found.limits)}

    found = remembered(workshop, "way", ask)
    return Way(str(found["runtime"]), str(found["network"]), tuple(map(str, found["limits"])))


def find(folder: Path) -> Way:
    """The first way that works; *folder*, a private one of the caller's, holds what is tried with.

    Raises:
        BackendError: as `way`.
    """
    root = folder / "root"
    root.mkdir(mode=0o755)
    if probe.write(root) is None:
        return Way()  # we have no program to try with on this machine
    folder.chmod(0o755)
    alone = _first(root, (Way(runtime, "none", limits) for runtime in _runtimes() for limits in _limits()))
    return _first(root, (Way(alone.runtime, network, alone.limits) for network in ("", "host")))


def _first(root: Path, ways: Iterable[Way]) -> Way:
    refusals: list[str] = []
    for one in ways:
        try:
            call(reaping(podman.run_folder(root, ["/probe"], way=one)), _BACKEND, seconds=_SECONDS)
        except BackendError as exc:
            if isinstance(exc.__cause__, OSError) and not isinstance(exc.__cause__, subprocess.SubprocessError):
                raise  # it could not even be started
            refusals.append(exc.message.splitlines()[-1])
        else:
            return one
    raise BackendError(
        _BACKEND,
        "podman can run nothing here:\n" + "\n".join(dict.fromkeys(refusals)),
        remedy="coopery doctor says more; runc may work where crun does not",
    )


def _runtimes() -> list[str]:
    return ["", *(name for name in ("runc", "crun") if shutil.which(name))]


def _limits() -> list[tuple[str, ...]]:
    """Podman's own; this process's; and low ones, which nobody is refused."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    ours = f"nofile={files[0]}:{files[1]}"
    return [(), (ours, "nproc=16384:16384"), ("nofile=1024:1024", "nproc=1024:1024")]
