"""The entry point: registers the Podman backend. Imports it only when asked, so that listing plugins is cheap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coopery.hookspecs import hookimpl

if TYPE_CHECKING:
    from coopery_podman.backend import PodmanBackend


@hookimpl
def coopery_register_backend() -> type[PodmanBackend]:
    """The backend ``podman``."""
    from coopery_podman.backend import PodmanBackend

    return PodmanBackend
