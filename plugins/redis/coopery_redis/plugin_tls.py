"""The door for ``rediss:``, the same store by TLS: a hook registers one scheme, so that each has a door of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coopery.hookspecs import hookimpl

if TYPE_CHECKING:
    from coopery.cache import Cache


@hookimpl
def coopery_register_cache() -> type[Cache]:
    """``Builder(cache="rediss://…")``."""
    from coopery_redis.store import RedisTlsCache

    return RedisTlsCache
