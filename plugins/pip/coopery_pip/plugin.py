"""The door: registers the materializer. Imports it only when somebody asks, so that listing plugins is cheap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coopery.hookspecs import hookimpl

if TYPE_CHECKING:
    from coopery.materializer import Materializer


@hookimpl
def coopery_register_materializer() -> type[Materializer]:
    """The section ``pip`` of a definition."""
    from coopery_pip.materializer import PipMaterializer

    return PipMaterializer
