"""Activation scripts of conda packages: sourced before the program, where the image has any, and a shell.

The image's files are the daemon's alone, perhaps on another machine: a container that is never started shows them.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

from coopery_docker import owner

if TYPE_CHECKING:
    from coopery_docker.client import Daemon

_SHELLS: Final = ("/bin/bash", "/usr/bin/bash", "/bin/sh", "/usr/bin/sh")


def activated(daemon: Daemon, image: dict[str, Any], argv: tuple[str, ...]) -> tuple[str, ...]:
    """*argv* behind a shell that sources the scripts; *argv* itself where there is nothing to source.

    Args:
        daemon: has the image.
        image: as the API shows it.
        argv: what is to run; empty for the image's own command.
    """
    config = image.get("Config") or {}
    env = dict(str(entry).partition("=")[::2] for entry in config.get("Env") or ())
    prefix = env.get("CONDA_PREFIX", "")
    words = argv or tuple(map(str, (*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ()))))
    if not prefix.startswith("/") or not words:
        return argv
    scripts, shell = _found(daemon, str(image["Id"]), f"{prefix}/etc/conda/activate.d")
    if not scripts or not shell:
        return argv
    lines = [f". {shlex.quote(script)}" for script in scripts]
    return (shell, "-c", "\n".join([*lines, 'exec "$@"']), "activate", *words)


def _found(daemon: Daemon, image: str, folder: str) -> tuple[tuple[str, ...], str]:
    """Paths of the scripts in *folder*, in the order that conda sources them, and of a shell."""
    with owner.named() as name:
        labels = {owner.LABEL: owner.own()}
        body = {"Image": image, "Entrypoint": ["/never"], "Labels": labels, "HostConfig": {"NetworkMode": "none"}}
        daemon.create(name, body)
        try:
            scripts = tuple(f"{folder}/{file}" for file in daemon.listing(name, folder) if file.endswith(".sh"))
            shell = next((path for path in _SHELLS if daemon.has(name, path)), "") if scripts else ""
        finally:
            daemon.remove(name)
    return scripts, shell
