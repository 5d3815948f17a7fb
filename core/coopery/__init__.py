"""Coopery: a declared machine-learning environment becomes a container image, once.

Names are imported on first use, so that ``import coopery`` costs little.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coopery.build import Builder as Builder
    from coopery.definition import Environment as Environment
    from coopery.errors import CooperyError as CooperyError
    from coopery.errors import DefinitionError as DefinitionError
    from coopery.hookspecs import hookimpl as hookimpl
    from coopery.image import Image as Image
    from coopery.lock import Lock as Lock
    from coopery.settings import Settings as Settings

__version__ = "0.1.0"

_HOMES = {
    "Builder": "coopery.build",
    "CooperyError": "coopery.errors",
    "DefinitionError": "coopery.errors",
    "Environment": "coopery.definition",
    "Image": "coopery.image",
    "Lock": "coopery.lock",
    "Settings": "coopery.settings",
    "hookimpl": "coopery.hookspecs",
}
__all__ = ["__version__", *sorted(_HOMES)]  # noqa: PLE0604 - the names are those of the table above


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'coopery' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
