"""Cache stores: where records are kept. ``sqlite``, ``directory`` and ``registry`` are here; others come as plugins.

Importing this package opens nothing and imports no database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from attrs import frozen

from coopery.errors import PluginError, UsageError

if TYPE_CHECKING:
    from coopery.cache import Attaching, Cache
    from coopery.leases import Leases
    from coopery.settings import Settings

__all__ = ["attaching", "images_of", "leases_of", "open_cache"]

_OURS: Final = ("directory", "registry", "sqlite")
_NEXT: Final = re.compile(r"\s+(?=[a-z][a-z0-9+-]*:)")


def open_cache(
    url: str,
    home: Path,
    *,
    notice: Callable[[str], None] | None = None,
    registered: Callable[[], Iterable[type[Cache]]] = tuple,
    settings: Callable[[], Settings] | None = None,
) -> Cache:
    """The cache store that *url* names. Nothing is opened or created before the first use.

    Args:
        url: ``SCHEME:REST``; ``sqlite:`` keeps records in *home*, ``sqlite:/path`` elsewhere, ``directory:/path`` in a
            folder that machines share; ``registry://HOST/REPOSITORY`` in a registry. These take ``?namespace=NAME``,
            and every store ``?readonly=true``, and ``?sign=FILE`` and ``?trust=FILE`` (`coopery.stores.signed`).
            Several URLs, parted by spaces, are looked in one after the other (`coopery.stores.layered`).
        home: cache folder of this machine.
        notice: told, in a sentence, what a person should know: a damaged record, a database set aside. The standard
            logger ``coopery.stores`` unless given.
        registered: the stores of plugins; asked only for a scheme that is not ours.
        settings: the outside world, for stores on a network; read from files and environment unless given.

    Raises:
        UsageError: the rest of the URL is not what the store expects.
        PluginError: nobody knows the scheme.
    """
    told = notice or _log
    opener = _Opener(home, told, registered, settings)
    stores = [opener.wrapped(one) for one in _NEXT.split(url.strip())]
    if len(stores) == 1:
        return stores[0]
    from coopery.stores.layered import Layered

    return Layered(*stores, notice=told)


@frozen
class _Opener:
    """What every store of one URL is opened with."""

    home: Path
    notice: Callable[[str], None]
    registered: Callable[[], Iterable[type[Cache]]]
    settings: Callable[[], Settings] | None

    def wrapped(self, url: str) -> Cache:
        """The one store of *url*; only looked in, where it says so."""
        bare, readonly = _without(url, "readonly")
        if readonly not in ("", "true"):
            raise UsageError(f"readonly={readonly}: expected readonly=true, or nothing")
        store = self._signed(bare)
        if not readonly:
            return store
        from coopery.stores.readonly import ReadOnly

        return ReadOnly(store)

    def _signed(self, url: str) -> Cache:
        """The one store of *url*; of which only signed records count, where it says so."""
        bare, sign = _without(url, "sign")
        bare, trust = _without(bare, "trust")
        store = self._opened(bare)
        if not (sign or trust):
            return store
        from coopery.stores.signatures import Keys
        from coopery.stores.signed import Signed

        for path in filter(None, (sign, trust)):
            if not path.startswith("/"):
                raise UsageError(f"sign= and trust=: expected the absolute path of a file, got {path[:200]!r}")
        return Signed(store, Keys(Path(sign) if sign else None, Path(trust) if trust else None), self.notice)

    def _opened(self, url: str) -> Cache:
        scheme = url.partition(":")[0]
        if scheme in ("sqlite", "registry"):
            bare, namespace = _without(url, "namespace")
            return _named(self._sqlite(bare) if scheme == "sqlite" else self._registry(bare), namespace)
        if scheme == "directory":
            from coopery.stores.directory import DirectoryCache

            return DirectoryCache.from_url(url, self.home, self.notice)
        return self._plugin(scheme, url)

    def _sqlite(self, url: str) -> Cache:
        from coopery.stores.sqlite import SqliteCache

        return SqliteCache.from_url(url, self.home, self.notice)

    def _registry(self, url: str) -> Cache:
        from coopery.settings import load
        from coopery.stores.registry import RegistryCache

        return RegistryCache.from_url(url, self.home, self.notice, self.settings or load)

    def _plugin(self, scheme: str, url: str) -> Cache:
        others = {store.scheme: store for store in self.registered()}
        if scheme not in others:
            from coopery.redact import masked

            known = ", ".join(sorted({*_OURS, *others}))
            raise PluginError(
                f"no cache store knows {masked(url)!r}: expected one of {known}, then a colon",
                remedy=f"install the plugin that brings {scheme!r}, or use sqlite:",
            )
        return others[scheme].from_url(url, self.home, self.notice)


def _named(store: Cache, namespace: str) -> Cache:
    if not namespace:
        return store
    from coopery.stores.namespace import Namespace

    return Namespace(store, namespace)


def _without(url: str, option: str) -> tuple[str, str]:
    """*url* without the *option*, and what that is set to; empty where it is not there."""
    bare, _, query = url.partition("?")
    parts = [part.partition("=") for part in query.split("&") if part]
    values = [value for name, _, value in parts if name == option]
    rest = "&".join("".join(part) for part in parts if part[0] != option)
    return f"{bare}?{rest}" if rest else bare, values[-1] if values else ""


def leases_of(cache: Cache) -> Leases | None:
    """The leases of *cache*, where the store declares that it has them."""
    return cast("Leases", cache) if cache.abilities.leases else None


def images_of(cache: Cache) -> str:
    """``HOST/REPOSITORY`` where the store keeps the images of what it records; empty for most stores."""
    return str(getattr(cache, "images", "")) if cache.abilities.writable else ""


def attaching(cache: Cache) -> Attaching | None:
    """*cache*, where it declares that it keeps files with records."""
    return cast("Attaching", cache) if cache.abilities.attachments else None


def _log(text: str) -> None:
    import logging

    logging.getLogger("coopery.stores").warning("%s", text)
