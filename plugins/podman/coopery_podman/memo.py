"""What was found out by asking or trying an engine, remembered while nothing that it depends on has changed.

``podman/<name>.json`` in the cache folder. Asking costs tens of milliseconds and trying hundreds, which a hit does not
have; reading this costs a few `stat` calls. It is never trusted with more than speed: what is recorded here is where to
look and what works, and looking or starting shows at once when it is wrong.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from coopery import processes

if TYPE_CHECKING:
    from pathlib import Path

    from coopery.backend import Workshop

FOLDER: Final = "podman"
_VERSION: Final = 1
_PROGRAMS: Final = ("buildah", "podman", "runc", "crun", "unshare", "setpriv")
_VARIABLES: Final = (
    "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF",
    "STORAGE_DRIVER",
    "STORAGE_OPTS",
    "HOME",
    "PATH",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
)
_CONFIGS: Final = (
    "/usr/share/containers/storage.conf",
    "/etc/containers/storage.conf",
    "/usr/share/containers/containers.conf",
    "/etc/containers/containers.conf",
    "/etc/containers/containers.conf.d",
)


def remembered(workshop: Workshop, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What *make* returned when it was last called under these conditions; it is called if it never was."""
    path = workshop.home / FOLDER / f"{name}.json"
    conditions = _conditions()
    try:
        kept = json.loads(path.read_bytes())
        if kept["conditions"] == conditions and isinstance(kept["found"], dict):
            return dict(kept["found"])
    except (OSError, ValueError, LookupError, TypeError):  # absent or damaged: found out anew
        pass
    found = make()
    _keep(workshop, path, {"conditions": conditions, "found": found})
    return found


def forget(workshop: Workshop, name: str) -> None:
    """Find it out anew the next time."""
    (workshop.home / FOLDER / f"{name}.json").unlink(missing_ok=True)


def _keep(workshop: Workshop, path: Path, document: dict[str, Any]) -> None:
    from coopery.errors import CacheError
    from coopery.whole import write_whole

    try:
        write_whole(path, json.dumps(document, sort_keys=True).encode(), workshop.staging, synced=False)
    except CacheError:  # a disk that is full or read-only: what is not remembered is asked again
        return


def _conditions() -> list[Any]:
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.environ.get("HOME", "/"), ".config")
    own = [f"{home}/containers/{name}" for name in ("storage.conf", "containers.conf")]
    named = [os.environ[name] for name in ("CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF") if os.environ.get(name)]
    files = [*_CONFIGS, *own, *named, *filter(None, map(_program, _PROGRAMS))]
    variables = [os.environ.get(name) for name in _VARIABLES]
    return [_VERSION, os.geteuid(), processes.boot(), variables, [_state(path) for path in files]]


def _program(name: str) -> str | None:
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK):
            return path
    return None


def _state(path: str) -> list[Any]:
    try:
        found = os.stat(path)
    except OSError:
        return [path]
    return [path, found.st_mtime_ns, found.st_size, found.st_ino]
