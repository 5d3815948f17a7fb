"""The entry point. Imports the backend only when asked, so that listing plugins is cheap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coopery.hookspecs import hookimpl

if TYPE_CHECKING:
    from coopery_unshare.backend import UnshareBackend


@hookimpl
def coopery_register_backend() -> type[UnshareBackend]:
    """The backend ``unshare``."""
    from coopery_unshare.backend import UnshareBackend

    return UnshareBackend
