"""Cache stores: where records are kept. ``sqlite`` and ``directory`` are here; others come as plugins.

Importing this package opens nothing and imports no database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from coopery.errors import PluginError, UsageError

if TYPE_CHECKING:
    from coopery.cache import Cache
    from coopery.leases import Leases

__all__ = ["leases_of", "open_cache"]

_OURS: Final = ("directory", "sqlite")
_NEXT: Final = re.compile(r"\s+(?=[a-z][a-z0-9+-]*:)")


def open_cache(
    url: str,
    home: Path,
    *,
    notice: Callable[[str], None] | None = None,
    registered: Callable[[], Iterable[type[Cache]]] = tuple,
) -> Cache:
    """The cache store that *url* names. Nothing is opened or created before the first use.

    Args:
        url: ``SCHEME:REST``; ``sqlite:`` keeps records in *home*, ``sqlite:/path`` elsewhere, ``directory:/path`` in a
            folder that machines share. Both take ``?namespace=NAME``, and every store ``?readonly=true``. Several URLs,
            parted by spaces, are looked in one after the other (`coopery.stores.layered`).
        home: cache folder of this machine.
        notice: told, in a sentence, what a person should know: a damaged record, a database set aside. The standard
            logger ``coopery.stores`` unless given.
        registered: the stores of plugins; asked only for a scheme that is not ours.

    Raises:
        UsageError: the rest of the URL is not what the store expects.
        PluginError: nobody knows the scheme.
    """
    told = notice or _log
    stores = [_wrapped(one, home, told, registered) for one in _NEXT.split(url.strip())]
    if len(stores) == 1:
        return stores[0]
    from coopery.stores.layered import Layered

    return Layered(*stores, notice=told)


def _wrapped(
    url: str, home: Path, notice: Callable[[str], None], registered: Callable[[], Iterable[type[Cache]]]
) -> Cache:
    """The one store of *url*; only looked in, where it says so."""
    bare, readonly = _without(url, "readonly")
    if readonly not in ("", "true"):
        raise UsageError(f"readonly={readonly}: expected readonly=true, or nothing")
    store = _opened(bare, home, notice, registered)
    if not readonly:
        return store
    from coopery.stores.readonly import ReadOnly

    return ReadOnly(store)


def _without(url: str, option: str) -> tuple[str, str]:
    """*url* without the *option*, and what that is set to; empty where it is not there."""
    bare, _, query = url.partition("?")
    parts = [part.partition("=") for part in query.split("&") if part]
    values = [value for name, _, value in parts if name == option]
    rest = "&".join("".join(part) for part in parts if part[0] != option)
    return f"{bare}?{rest}" if rest else bare, values[-1] if values else ""


def _opened(
    url: str, home: Path, notice: Callable[[str], None], registered: Callable[[], Iterable[type[Cache]]]
) -> Cache:
    scheme = url.partition(":")[0]
    if scheme == "sqlite":
        return _sqlite(url, home, notice)
    if scheme == "directory":
        from coopery.stores.directory import DirectoryCache

        return DirectoryCache.from_url(url, home, notice)
    others = {store.scheme: store for store in registered()}
    if scheme not in others:
        from coopery.redact import masked

        known = ", ".join(sorted({*_OURS, *others}))
        raise PluginError(
            f"no cache store knows {masked(url)!r}: expected one of {known}, then a colon",
            remedy=f"install the plugin that brings {scheme!r}, or use sqlite:",
        )
    return others[scheme].from_url(url, home, notice)


def _sqlite(url: str, home: Path, notice: Callable[[str], None]) -> Cache:
    from coopery.stores.sqlite import SqliteCache

    bare, namespace = _without(url, "namespace")
    store = SqliteCache.from_url(bare, home, notice)
    if not namespace:
        return store
    from coopery.stores.namespace import Namespace

    return Namespace(store, namespace)


def leases_of(cache: Cache) -> Leases | None:
    """The leases of *cache*, where the store declares that it has them."""
    return cast("Leases", cache) if cache.abilities.leases else None


def _log(text: str) -> None:
    import logging

    logging.getLogger("coopery.stores").warning("%s", text)
