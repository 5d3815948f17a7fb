"""What Apptainer looks for in an image, below ``/.singularity.d``: environment, run script, labels; and mount points.

``apptainer exec`` reads the environment with an interpreter of its own, so it needs no shell in the image, and gets it
the same for every user: the image's variables win over the host's, as in every other engine, and those of ``--env``
win over them. The run script is ENTRYPOINT and CMD as Docker understands them; it needs a shell in the image, and
sources the packages' activation scripts first. Source: Apptainer user guide 1.4, "Environment and Metadata".
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from coopery.activation import look, sourcing, through
from coopery.facts import find
from coopery.image import variables
from coopery.oci.flatten import Added

if TYPE_CHECKING:
    from coopery.files import Files

FOLDER: Final = ".singularity.d"
IMAGE_LABEL: Final = "dev.coopery.image"
MOUNT_POINTS: Final = (
    *(Added(path, "directory", 0o755) for path in ("dev", "etc", "home", "proc", "root", "sys")),
    *(Added(path, "directory", 0o1777) for path in ("tmp", "var/tmp")),
)
"""Folders that Apptainer mounts on, where it cannot make them itself."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOT_SET: Final = frozenset({"HOME"})  # Apptainer's own: the home of whoever runs it
_NOT_FROM_HOST: Final = ("PYTHONPATH", "PYTHONHOME")  # they would put the host's packages before the image's


@frozen
class Entry:
    """How a process is started in an image.

    Attributes:
        shell: the image's best, or empty.
        sourced: activation scripts of its packages, in the order that conda sources them.
        cwd: working directory; empty where the image names none.
        command: ENTRYPOINT and CMD.
    """

    shell: str
    sourced: tuple[str, ...]
    cwd: str
    command: tuple[str, ...]

    def argv(self, words: Sequence[str]) -> tuple[str, ...]:
        """*words*, behind the image's shell where it has one: it sources, and tells what it cannot find by 127."""
        if not self.shell:
            return tuple(words)
        return through(self.shell, self.sourced, words)


def entry_of(files: Files, config: Mapping[str, Any]) -> Entry:
    """How processes are started in the image with *files* and OCI *config*."""
    settings = config.get("config") or {}
    own = (*(settings.get("Entrypoint") or ()), *(settings.get("Cmd") or ()))
    found = look(files, variables(config))
    return Entry(
        shell=found.shell,
        sourced=found.scripts,
        cwd=str(settings.get("WorkingDir") or ""),
        command=tuple(str(word) for word in own),
    )


def added(files: Files, config: Mapping[str, Any], image_id: str) -> tuple[Added, ...]:
    """Everything to put into the image."""
    entry = entry_of(files, config)
    python = _python(files, variables(config))
    found = [*MOUNT_POINTS]
    if entry.cwd.startswith("/") and entry.cwd.strip("/"):
        found.append(Added(entry.cwd.strip("/"), "directory", 0o755))
    return (
        *found,
        Added(f"{FOLDER}/env/99-base.sh", mode=0o755, content=_environment(variables(config))),
        Added(f"{FOLDER}/labels.json", content=_labels(config, image_id)),
        Added(f"{FOLDER}/runscript", mode=0o755, content=_run_script(config, entry, python)),
    )


def _environment(env: Mapping[str, str]) -> bytes:
    """Exports, in the file after which Apptainer sets what ``--env`` says. Names that no shell can set are left out.

    A variable that is empty here is unset where the host has it; one that is unset here would be the host's again.
    """
    named = [name for name in env if _NAME.fullmatch(name) and name not in _NOT_SET]
    lines = [f"export {name}=" for name in _NOT_FROM_HOST if name not in env]
    lines += [f"export {name}={shlex.quote(env[name])}" for name in named]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _labels(config: Mapping[str, Any], image_id: str) -> bytes:
    labels = {**((config.get("config") or {}).get("Labels") or {}), IMAGE_LABEL: image_id}
    return json.dumps(labels, sort_keys=True, indent=1).encode()


def _run_script(config: Mapping[str, Any], entry: Entry, python: str) -> bytes:
    settings = config.get("config") or {}
    entrypoint = [str(word) for word in settings.get("Entrypoint") or ()]
    command = [str(word) for word in settings.get("Cmd") or ()] or ([] if entrypoint or not python else [python])
    lines = [f"#!{entry.shell or '/bin/sh'}", *sourcing(entry.sourced)]
    if command:
        lines.append(f'[ "$#" -gt 0 ] || set -- {shlex.join(command)}')
    elif not entrypoint:
        lines.append('[ "$#" -gt 0 ] || { echo "this image has no command of its own: say what to run" >&2; exit 64; }')
    lines.append(f'exec {shlex.join(entrypoint)} "$@"' if entrypoint else 'exec "$@"')
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _python(files: Files, env: Mapping[str, str]) -> str:
    prefix = env.get("CONDA_PREFIX", "")
    path = f"{prefix}/bin/python"
    return path if prefix.startswith("/") and find(files, path) else ""
