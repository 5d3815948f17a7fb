"""Activation scripts of conda packages: found in the storage's own folders, sourced by the image's shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coopery.activation import NOTHING, folder_of, look
from coopery.events import Warned
from coopery.image import variables
from coopery_podman.image_files import config_of, files_of
from coopery_podman.storage import LookError, locate

if TYPE_CHECKING:
    from coopery.backend import Workshop


def activated(workshop: Workshop, image: str, argv: tuple[str, ...]) -> tuple[str, ...]:
    """*argv* behind a shell that sources the scripts; *argv* itself where there is nothing to source.

    Where the storage cannot be read, that is told, and the program starts without them.

    Args:
        workshop: remembers where the storage is.
        image: its id.
        argv: what is to run; empty for the image's own command.
    """
    try:
        located = locate(workshop)
        config = config_of(located, image)
        env = variables(config)
        record = located.image(image) if folder_of(env) else None
        found = look(files_of(located, record), env) if record is not None else NOTHING
    except LookError as exc:
        workshop.emit(Warned(message=f"podman: activation scripts were not looked for: {exc}"))
        return argv
    settings = config.get("config") or {}
    words = argv or tuple(map(str, (*(settings.get("Entrypoint") or ()), *(settings.get("Cmd") or ()))))
    return found.argv(words) if found.needed and words else argv
