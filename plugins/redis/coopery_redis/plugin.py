"""The door for ``redis:``. Imports the store only when somebody asks, and redis-py only when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coopery.hookspecs import hookimpl

if TYPE_CHECKING:
    from coopery.cache import Cache


@hookimpl
def coopery_register_cache() -> type[Cache]:
    """``Builder(cache="redis://…")``."""
    from coopery_redis.store import RedisCache

    return RedisCache
