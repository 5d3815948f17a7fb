"""The one way out of this machine: http and https, within bounds, credentials to their own host only.

`Http` is imported on first use: what only needs `coopery.wire.origin` or `coopery.wire.login` pays for no urllib3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coopery.wire.http import Http as Http

__all__ = ["Http"]


def __getattr__(name: str) -> Any:
    if name != "Http":
        raise AttributeError(f"module 'coopery.wire' has no attribute {name!r}")
    from coopery.wire.http import Http

    return Http
