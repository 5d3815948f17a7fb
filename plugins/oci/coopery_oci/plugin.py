"""The entry point: registers the engine-free backend. Imports it only when asked, so that listing plugins is cheap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coopery.hookspecs import hookimpl

if TYPE_CHECKING:
    from coopery_oci.backend import OciBackend


@hookimpl
def coopery_register_backend() -> type[OciBackend]:
    """The backend ``oci``."""
    from coopery_oci.backend import OciBackend

    return OciBackend
