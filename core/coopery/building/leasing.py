"""Where a builder agrees with others on who builds: what was named, its store of records, or the cache folder."""

from __future__ import annotations

import threading
from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING

from coopery.errors import UsageError
from coopery.stores import leases_of

if TYPE_CHECKING:
    from coopery.cache import Cache
    from coopery.leases import Leases


class Leasing:
    """The leases of one builder, opened when they are first asked for. Threads may share it.

    Args:
        named: leases, or the URL of a store that has them; None: nobody named any.
        cache: the store of records.
        opened: opens the store of a URL.
    """

    def __init__(self, named: str | Leases | None, cache: Callable[[], Cache], opened: Callable[[str], Cache]) -> None:
        self._named, self._cache, self._opened = named, cache, opened
        self._store: Cache | None = None
        self._opening = threading.Lock()

    @property
    def agreed(self) -> Leases | None:
        """Where all who share the store of records agree; None where that has no leases, and none were named.

        Raises:
            UsageError: the store that was named has none.
        """
        if self._named is None:
            return leases_of(self._cache())
        if not isinstance(self._named, str):
            return self._named
        store = self._open(self._named)
        found = leases_of(store)
        if found is None:
            raise UsageError(f"{store!r} has no leases", remedy="name sqlite:, directory: or redis: for them")
        return found

    @property
    def leases(self) -> Leases | None:
        """As `agreed`; where that is nowhere, the cache folder, so that at least who shares it builds once.

        A folder on a network file system gives leases that answer with an error, as good as none.
        """
        found = self.agreed
        if found is None:
            apart = sha256(repr(self._cache()).encode()).hexdigest()[:16]  # how it ended elsewhere says nothing here
            found = leases_of(self._open(f"sqlite:?namespace={apart}"))
        return found

    def close(self) -> None:
        """Close what was opened. May be called twice."""
        store, self._store = self._store, None
        if store is not None:
            store.close()

    def _open(self, url: str) -> Cache:
        with self._opening:
            if self._store is None:
                self._store = self._opened(url)
            return self._store
