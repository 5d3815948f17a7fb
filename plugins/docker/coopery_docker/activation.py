"""Activation scripts of conda packages: sourced before the program, where the image has any, and a shell.

The image's files are the daemon's alone, perhaps on another machine: a container that is never started shows them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coopery.activation import NOTHING, SHELLS, Activation, folder_of, scripts
from coopery.image import variables
from coopery_docker import owner

if TYPE_CHECKING:
    from coopery_docker.client import Daemon


def activated(daemon: Daemon, image: dict[str, Any], argv: tuple[str, ...]) -> tuple[str, ...]:
    """*argv* behind a shell that sources the scripts; *argv* itself where there is nothing to source.

    Args:
        daemon: has the image.
        image: as the API shows it.
        argv: what is to run; empty for the image's own command.
    """
    config = image.get("Config") or {}
    words = argv or tuple(map(str, (*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ()))))
    folder = folder_of(variables({"config": config}))
    found = _found(daemon, str(image["Id"]), folder) if folder and words else NOTHING
    return found.argv(words) if found.needed else argv


def _found(daemon: Daemon, image: str, folder: str) -> Activation:
    """What is to be sourced: the scripts in *folder*."""
    with owner.named() as name:
        labels = {owner.LABEL: owner.own()}
        body = {"Image": image, "Entrypoint": ["/never"], "Labels": labels, "HostConfig": {"NetworkMode": "none"}}
        daemon.create(name, body)
        try:
            found = scripts(folder, daemon.listing(name, folder))
            shell = next((path for path in SHELLS if daemon.has(name, path)), "") if found else ""
        finally:
            daemon.remove(name)
    return Activation(shell, found)
