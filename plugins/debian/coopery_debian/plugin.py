"""What this plugin registers: the source of `debian` bases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coopery.hookspecs import hookimpl

if TYPE_CHECKING:
    from coopery.base_source import BaseSource


@hookimpl
def coopery_register_base_source() -> type[BaseSource]:
    """Debian packages unpacked into layers."""
    from coopery_debian.source import DebianSource

    return DebianSource
