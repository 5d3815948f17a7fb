"""What doctor is told: the engine's parts, tried."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from coopery.backend import Examination
from coopery.errors import CooperyError
from coopery_podman import memo
from coopery_podman.guard import alone
from coopery_podman.isolation import remembered_choice
from coopery_podman.storage import locate
from coopery_podman.ways import way

if TYPE_CHECKING:
    from coopery.backend import Workshop
    from coopery_podman.buildah import Buildah

_SLOW: dict[str, str] = {
    "vfs": "vfs copies a whole image for every layer: slow; overlay needs fuse-overlayfs or Linux 5.13"
}


def examine(workshop: Workshop, tool: Buildah) -> Examination:
    """Try buildah and podman, anew. Never raises for an engine that is absent or broken."""
    if shutil.which(tool.program) is None:
        remedy = "on Debian: apt-get install buildah podman; both work for ordinary users too"
        return Examination(found=False, works=False, problem="buildah is not installed", remedy=remedy)
    for name in ("storage", "isolation", "way"):
        memo.forget(workshop, name)
    version, details = "", []
    try:
        version = ".".join(map(str, tool.version()))
        located = locate(workshop, tool)
        details += [*located.details, *filter(None, [_SLOW.get(located.driver)])]
        details.append(f"steps: isolation {remembered_choice(workshop, tool)}, {_ended(tool)}")
        details.append(_running(workshop))
    except CooperyError as exc:
        return Examination(True, False, version, tuple(details), problem=exc.message, remedy=exc.remedy)
    return Examination(True, True, version, tuple(details))


def _ended(tool: Buildah) -> str:
    return "in namespaces that end with us" if alone(tool) else "without namespaces: a killed build may leave its step"


def _running(workshop: Workshop) -> str:
    """Images can be built without podman, so that its absence is no failure."""
    if shutil.which("podman") is None:
        return "runs no images: podman is not installed (on Debian: apt-get install podman)"
    try:
        found = way(workshop)
    except CooperyError as exc:
        return f"runs no images: {exc.message}"
    words = [f"runtime {found.runtime or 'its own choice'}", f"network {found.network or 'its own choice'}"]
    return f"runs images by podman: {', '.join([*words, *found.limits])}"
