"""What a builder is made of: settings, home, store, leases, place, backend; each made on first use."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, cast

from attrs import evolve

from coopery.building.leasing import Leasing
from coopery.cancel import Cancel
from coopery.errors import CacheError
from coopery.events import Event, Hit, Warned
from coopery.flights.together import Together
from coopery.home import Home
from coopery.ledger import Ledger
from coopery.settings import Settings
from coopery.settings import load as load_settings

if TYPE_CHECKING:
    from coopery.backend import Backend, Examination, Workshop
    from coopery.build import Builder
    from coopery.building.asking import Asking
    from coopery.cache import Cache
    from coopery.definition import Environment
    from coopery.engines.needs import Need
    from coopery.flights.flight import Flight
    from coopery.leases import Leases
    from coopery.place import Place
    from coopery.plugins import Plugins
    from coopery.records import Resolution
    from coopery.redact import Redactor

DEFAULT_BACKEND: Final = "oci"
"""Its place is the layout in the home, which core can ask by itself: a hit needs no plugin at all."""

LEASE_SECONDS: Final = 30.0
"""Silence after which a builder on another machine is taken for dead."""


class Parts:
    """The base of `coopery.build.Builder` and of the groups of methods that it is put together from."""

    def __init__(
        self,
        *,
        cache: str | Cache | None = None,
        backend: str | None = None,
        home: str | os.PathLike[str] | None = None,
        settings: Settings | None = None,
        on_event: Callable[[Event], None] | None = None,
        plugins: Plugins | None = None,
        secrets: Mapping[str, str | bytes] | None = None,
        step_seconds: float = 0.0,
        leases: str | Leases | None = None,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        # What the caller stated, for those who describe this builder to another process; of secrets only whether.
        self.given: Mapping[str, Any] = {
            "cache": cache,
            "backend": backend,
            "home": home,
            "settings": settings,
            "on_event": on_event,
            "plugins": plugins,
            "secrets": bool(secrets),
            "leases": leases,
        }
        self.lease_seconds = lease_seconds
        self.settings = settings or load_settings()
        if home is not None:
            self.settings = evolve(self.settings, home=Path(home).expanduser().absolute())
        self.home = Home(self.settings.home)
        self.named = bool(backend or self.settings.backend)
        self.backend_name = backend or self.settings.backend or DEFAULT_BACKEND
        self.examined: dict[str, Examination] = {}
        self.secrets = _checked(secrets) if secrets else {}
        self.step_seconds = step_seconds
        self.told: set[str] = set()
        self._others: dict[str, Builder] = {}
        self._on_event = on_event
        self._plugins = plugins
        self._store = cache or self.settings.cache
        self._cache: Cache | None = None
        named = leases if leases is not None else self.settings.leases or None
        self.leasing = Leasing(named, lambda: self.cache, self._open)
        self._place: Place | None = None
        self.together = Together()
        self._making = threading.RLock()
        self._asking: tuple[int, Asking] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the cache store, unless it was handed in. What coroutines wait for ends. May be called twice."""
        asking, self._asking = self._asking, None
        if asking is not None and asking[0] == os.getpid():
            asking[1].close()
        if self._cache is not None and isinstance(self._store, str):
            self._cache.close()
        self.leasing.close()
        for other in self._others.values():
            other.close()
        self._cache = None

    @property
    def cache(self) -> Cache:
        """The store of records."""
        if self._cache is None:
            with self._making:
                if self._cache is None:
                    self._cache = self._open(self._store) if isinstance(self._store, str) else self._store
        return self._cache

    @property
    def leases(self) -> Leases | None:
        """Where it is agreed who builds (`coopery.building.leasing.Leasing.leases`).

        Raises:
            UsageError: the store that was named has none.
        """
        return self.leasing.leases

    @property
    def plugins_loaded(self) -> Plugins:
        """The plugins."""
        if self._plugins is None:
            from coopery.plugins import Plugins

            with self._making:
                self._plugins = self._plugins or Plugins()
        return self._plugins

    @property
    def place(self) -> Place:
        """Where this builder's backend keeps images."""
        if self._place is None:  # two threads may both make one: it is only a view
            if self.backend_name == DEFAULT_BACKEND:
                from coopery.places.layout import LayoutPlace

                self._place = LayoutPlace(self.home.root)
            else:
                self._place = self.backend(self.emit).place
        return self._place

    @property
    def ledger(self) -> Ledger:
        """The records, seen from this builder's place."""
        return Ledger(self.cache, self.place, self._where)

    def _where(self) -> str:
        from coopery.flights.whereabouts import whereabouts

        return whereabouts(self.home.root, self.place.name)

    def backend(self, emit: Callable[[Event], None], cancel: Cancel | None = None) -> Backend:
        """This builder's backend, reporting to *emit*, and given up by *cancel*."""
        return self.plugins_loaded.backend(self.backend_name)(self.workshop(emit, cancel))

    def workshop(self, emit: Callable[[Event], None], cancel: Cancel | None = None) -> Workshop:
        """What plugins are lent, reporting to *emit*, and given up by *cancel*."""
        from coopery.backend import Workshop

        def source(name: str) -> Any:
            return self.plugins_loaded.base_source(name)(shop)

        shop = Workshop(
            self.home.root,
            self.home.staging,
            self.home.blobs,
            self.settings,
            source,
            emit,
            secrets=self.secrets,
            step_seconds=self.step_seconds,
            cancel=cancel or Cancel(),
        )
        return shop

    def at(self, backend: str) -> Builder:
        """This builder with another backend: the same folder, records, settings and listener. Lives as long as this."""
        if backend == self.backend_name:
            return self.whole
        from coopery.build import Builder

        with self._making:
            if backend not in self._others:
                self._others[backend] = Builder(
                    cache=self.cache,
                    backend=backend,
                    settings=self.settings,
                    on_event=self._on_event,
                    plugins=self.plugins_loaded,
                    secrets=self.secrets,
                    step_seconds=self.step_seconds,
                    leases=self.leasing.agreed,
                    lease_seconds=self.lease_seconds,
                )
            return self._others[backend]

    @cached_property
    def aside(self) -> Builder:
        """The builder that stands in for this one where its cache folder cannot be written (`coopery.aside`)."""
        from coopery.aside import beside

        return beside(self.whole)

    @property
    def writing(self) -> Builder:
        """This builder; where its cache folder cannot be written, the one beside it."""
        return self.whole if self.home.writable else self.aside

    @property
    def only_read(self) -> bool:
        """Whether the cache folder can be read and not written. One that is closed to us is neither."""
        return not self.home.writable and os.access(self.home.root, os.R_OK | os.X_OK)

    def must_write(self, what: str, remedy: str = "") -> None:
        """Refuse *what*, which changes the cache folder, where that can only be read.

        Raises:
            CacheError: it can.
        """
        if self.only_read:
            remedy = remedy or "let whoever fills it do that, or set COOPERY_HOME to a folder of yours"
            raise CacheError(f"{self.home.root} cannot be written, and {what} changes it", remedy=remedy)

    def serving(self, environment: Environment, known: Resolution | None = None, also: Sequence[Need] = ()) -> Builder:
        """This builder; where nobody named a backend, perhaps one on another (`coopery.engines.choose.serving`)."""
        if self.named:
            return self.whole
        from coopery.engines.choose import serving

        return serving(self.whole, environment, known, also)

    def emit(self, event: Event) -> None:
        """Hand *event* to this builder's listener, and to observing plugins where plugins are in use.

        Passwords and tokens of the settings are masked in it, whoever sent it.
        """
        if not isinstance(event, Hit):  # a hit tells of nothing that settings have a part in, and is to be quick
            event = self.redactor.event(event)
        if self._on_event is not None:
            self._on_event(event)
        if self._plugins is not None and self._plugins.observed:
            self._plugins.observe(event)

    def _open(self, url: str) -> Cache:
        from coopery.stores import open_cache

        def notice(message: str) -> None:
            self.emit(Warned(message=message))

        return open_cache(
            url,
            self.home.root,
            notice=notice,
            registered=lambda: self.plugins_loaded.caches().values(),
            settings=lambda: self.settings,
        )

    @property
    def masked(self) -> tuple[str, ...]:
        """What no log, event or error may show: passwords and tokens of the settings, and build secrets."""
        if not self.secrets:
            return self.settings.secrets()
        from coopery.engines.secrets import texts

        return (*self.settings.secrets(), *texts(self.secrets))

    @cached_property
    def redactor(self) -> Redactor:
        """Masks the secrets of this builder in text."""
        from coopery.redact import Redactor

        return Redactor(self.masked)

    @cached_property
    def flight(self) -> Flight:
        """One for all builds of this builder, so that its threads join each other."""
        from coopery.flights.flight import Flight

        return Flight(self.leases, self.lease_seconds)

    @property
    def asking(self) -> Asking:
        """Whom coroutines ask. A forked child has its own: it has none of its parent's threads."""
        from coopery.building.asking import Asking

        with self._making:
            if self._asking is None or self._asking[0] != os.getpid():
                self._asking = (os.getpid(), Asking(self.whole))
            return self._asking[1]

    @property
    def whole(self) -> Builder:
        """This very object, as what it is for those who are handed it: each group of methods is only a part."""
        return cast("Builder", self)


def _checked(secrets: Mapping[str, str | bytes]) -> dict[str, bytes]:
    from coopery.engines.secrets import checked

    return checked(secrets)
