"""The entry point: registers the backend for Apptainer and Singularity. Imports it only when asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coopery.hookspecs import hookimpl

if TYPE_CHECKING:
    from coopery_singularity.backend import SingularityBackend


@hookimpl
def coopery_register_backend() -> type[SingularityBackend]:
    """The backend ``singularity``."""
    from coopery_singularity.backend import SingularityBackend

    return SingularityBackend
