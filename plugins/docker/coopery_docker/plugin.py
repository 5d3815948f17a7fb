"""The entry point: registers the Docker backend. Imports it only when asked, so that listing plugins is cheap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coopery.hookspecs import hookimpl

if TYPE_CHECKING:
    from coopery_docker.backend import DockerBackend


@hookimpl
def coopery_register_backend() -> type[DockerBackend]:
    """The backend ``docker``."""
    from coopery_docker.backend import DockerBackend

    return DockerBackend
