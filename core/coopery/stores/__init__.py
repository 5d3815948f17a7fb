"""Cache stores: where records are kept. ``sqlite`` is here; others come as plugins and stand beside it.

Importing this package opens nothing and imports no database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from coopery.errors import PluginError

if TYPE_CHECKING:
    from coopery.cache import Cache
    from coopery.leases import Leases

__all__ = ["leases_of", "open_cache"]


def open_cache(
    url: str,
    home: Path,
    *,
    notice: Callable[[str], None] | None = None,
    registered: Callable[[], Iterable[type[Cache]]] = tuple,
) -> Cache:
    """The cache store that *url* names. Nothing is opened or created before the first use.

    Args:
        url: ``SCHEME:REST``; ``sqlite:`` keeps records in *home*, ``sqlite:/path`` elsewhere.
        home: cache folder of this machine.
        notice: told, in a sentence, what a person should know: a damaged record, a database set aside. The standard
            logger ``coopery.stores`` unless given.
        registered: the stores of plugins; asked only for a scheme that is not ours.

    Raises:
        UsageError: the rest of the URL is not what the store expects.
        PluginError: nobody knows the scheme.
    """
    scheme = url.partition(":")[0]
    if scheme == "sqlite":
        from coopery.stores.sqlite import SqliteCache

        return SqliteCache.from_url(url, home, notice or _log)
    others = {store.scheme: store for store in registered()}
    if scheme not in others:
        known = ", ".join(sorted({"sqlite", *others}))
        raise PluginError(
            f"no cache store knows {url!r}: expected one of {known}, then a colon",
            remedy=f"install the plugin that brings {scheme!r}, or use sqlite:",
        )
    return others[scheme].from_url(url, home, notice or _log)


def leases_of(cache: Cache) -> Leases | None:
    """The leases of *cache*, where the store declares that it has them."""
    return cast("Leases", cache) if cache.abilities.leases else None


def _log(text: str) -> None:
    import logging

    logging.getLogger("coopery.stores").warning("%s", text)
