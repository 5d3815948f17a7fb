"""The builder: definition in, image out, once.

seal ─► key ─► known, and its image exists? ──yes──► the image
                      │ no
                      ▼  one builder per key; everyone else waits for its result
stage 1 (base, steps) ─► stage 2 (lock, layers) ─► assemble ─► materialize ─► verify ─► record   (`coopery.make`)
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen

from coopery import key as _key
from coopery.definition import Environment
from coopery.errors import NotFound
from coopery.events import Event, Hit, Waiting, Warned
from coopery.home import Home
from coopery.image import Image
from coopery.ledger import Details, Ledger, only
from coopery.seal import seal
from coopery.settings import Settings
from coopery.settings import load as load_settings

if TYPE_CHECKING:
    from coopery.backend import Backend, Workshop
    from coopery.cache import Cache
    from coopery.flight import Flight, Guard
    from coopery.lock import Lock
    from coopery.place import Place, RunRequest
    from coopery.plugins import PluginInfo, Plugins
    from coopery.sealed import Sealed
    from coopery.why import Difference

__all__ = ["DEFAULT_BACKEND", "Builder", "Details", "Plan"]

DEFAULT_BACKEND: Final = "oci"
"""Its place is the layout in the home, which core can ask by itself: a hit needs no plugin at all."""

LEASE_SECONDS: Final = 30.0


@frozen
class Plan:
    """What `Builder.build` would do now. ``stages`` are lines for people; ``lock`` is known only for a known key."""

    key: str
    known: bool
    backend: str
    stages: tuple[str, ...]
    image: Image | None = None
    lock: Lock | None = None


class Builder:
    """Builds environments. Holds no globals: two builders with different homes do not know of each other.

    Args:
        cache: a cache store, or its URL, ``sqlite:`` (in the home) or ``sqlite:/path``; the settings' unless given.
        backend: name of the backend; the settings' unless given, ``oci`` by default.
        home: cache folder; the settings' unless given.
        settings: the outside world; read from files and environment unless given.
        on_event: called with every event, from the thread that caused it. Must return promptly.
        plugins: which plugins there are; the installed ones unless given.

    Use it as a context manager, or call `close`.
    """

    def __init__(
        self,
        *,
        cache: str | Cache | None = None,
        backend: str | None = None,
        home: str | os.PathLike[str] | None = None,
        settings: Settings | None = None,
        on_event: Callable[[Event], None] | None = None,
        plugins: Plugins | None = None,
    ) -> None:
        self.settings = settings or load_settings()
        if home is not None:
            self.settings = evolve(self.settings, home=Path(home).expanduser().absolute())
        self.home = Home(self.settings.home)
        self.backend_name = backend or self.settings.backend or DEFAULT_BACKEND
        self._on_event = on_event
        self._plugins = plugins
        self._store = cache or self.settings.cache
        self._cache: Cache | None = None
        self._place: Place | None = None

    def __enter__(self) -> Builder:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the cache store, unless it was handed in. May be called twice."""
        if self._cache is not None and isinstance(self._store, str):
            self._cache.close()
        self._cache = None

    # --- identity ---------------------------------------------------------------------------------

    def key(self, environment: Environment) -> str:
        """The key of *environment*: 64 hexadecimal digits. Needs no network and no backend."""
        return _key.compute(seal(environment))

    def identity(self, environment: Environment) -> dict[str, Any]:
        """Exactly what the key is computed from, as plain data."""
        return _key.identity(seal(environment))

    def why(self, first: Environment | str, second: Environment | str) -> tuple[Difference, ...]:
        """Which inputs make the key of *second* differ from that of *first*; empty when they are one key.

        Raises:
            NotFound, UsageError: a string that is no key known here, or several.
        """
        from coopery.why import differences

        return differences(self._identity_of(first), self._identity_of(second))

    # --- the main job -----------------------------------------------------------------------------

    def build(self, environment: Environment, *, rebuild: bool = False) -> Image:
        """The image of *environment*: found at once where it is known, else built once for all who ask.

        Args:
            environment: the definition.
            rebuild: resolve and build again, as the next generation; earlier ones stay.

        Raises:
            DefinitionError: something that it names on disk is missing or cannot be read.
            UnsupportedError, PluginError: the backend or the plugins cannot do it; nothing was fetched.
            BuildError: a stage failed; ``log`` names the file that keeps all of it.
            CacheError: the disk failed.
        """
        sealed = seal(environment)
        key = _key.compute(sealed)
        if not rebuild and (image := self.ledger.look(key)) is not None:
            self.emit(Hit(key=key, reference=image.reference))
            return image
        return self._build_once(sealed, key, rebuild=rebuild)

    def lock(self, environment: Environment) -> Lock:
        """What *environment* resolves to: the recorded lock of its key, else a new one. Cuts no package layer.

        Raises:
            UsageError: it has no packages, so there is nothing to lock.
            BuildError: the base or the packages cannot be had.
        """
        from coopery.make import resolve

        sealed = seal(environment)
        known = self.ledger.resolution(_key.compute(sealed))
        if known is not None and known.lock is not None:
            return known.lock
        return resolve(self, sealed)

    def plan(self, environment: Environment) -> Plan:
        """What `build` would do now. Nothing is fetched or made; what the backend lacks is refused."""
        from coopery import preflight
        from coopery.planning import stages

        sealed = seal(environment)
        key = _key.compute(sealed)
        known = self.ledger.resolution(key)
        image = self.ledger.locate(known) if known is not None else None
        if image is None:
            preflight.check(environment, self.backend_name, self.plugins_loaded)
        lock = known.lock if known is not None else None
        return Plan(key, known is not None, self.backend_name, stages(sealed, known, image), image, lock)

    def run(self, ref: Environment | str, request: RunRequest) -> int:
        """Run a process in the image of *ref*; a definition that has none is built first.

        Returns:
            The exit status of the process; 128 + n when signal n ended it.

        Raises:
            NotFound: *ref* is a key whose image is not here.
        """
        if isinstance(ref, str):
            return self._runner().run(self._image_of(ref).digest, request)
        request = evolve(
            request, env={**dict(ref.runtime.env), **request.env}, workdir=request.workdir or ref.runtime.workdir
        )
        return self._runner().run(self.build(ref).digest, request)

    def export(self, image: Image, to: str) -> str:
        """Write *image* elsewhere.

        Args:
            image: one that this builder returned.
            to: ``oci:FOLDER[:TAG]``, ``oci-archive:FILE[:TAG]`` or ``docker-archive:FILE[:TAG]``.

        Returns:
            The reference to give to other tools.

        Raises:
            UsageError: another form.
            CacheError: the disk failed; nothing half-written stays.
        """
        from coopery.exporting import export

        return export(self.home, image, to)

    # --- what is recorded -------------------------------------------------------------------------

    def find(self, ref: str) -> str:
        """The one recorded key that begins with *ref*; NotFound or UsageError where there is none, or several."""
        return self.ledger.find(ref)

    def details(self, ref: Environment | str) -> Details:
        """What is recorded of a definition or key; nothing is built. NotFound when nothing is."""
        return self.ledger.details(self.key(ref) if isinstance(ref, Environment) else self.find(ref))

    def list(self) -> tuple[Details, ...]:
        """Every key that is recorded, newest first."""
        return self.ledger.list()

    def log(self, ref: Environment | str) -> str:
        """The newest build log of a definition or key, whether that build succeeded or failed.

        Raises:
            NotFound: none was kept.
        """
        from coopery import logs

        key = self.key(ref) if isinstance(ref, Environment) else only(ref, logs.keys(self.home.root, ref))
        path = logs.newest(self.home.root, key)
        if path is None:
            raise NotFound(f"no log is kept for key {key}")
        return path.read_text(encoding="utf-8", errors="replace")

    def plugins(self) -> tuple[PluginInfo, ...]:
        """What is installed: backends, materializers, base sources, cache stores."""
        return self.plugins_loaded.infos()

    # --- parts, each made on first use --------------------------------------------------------------

    @property
    def cache(self) -> Cache:
        """The store of records."""
        if self._cache is None:
            self._cache = self._open(self._store) if isinstance(self._store, str) else self._store
        return self._cache

    @property
    def plugins_loaded(self) -> Plugins:
        """The plugins."""
        if self._plugins is None:
            from coopery.plugins import Plugins

            self._plugins = Plugins()
        return self._plugins

    @property
    def place(self) -> Place:
        """Where this builder's backend keeps images."""
        if self._place is None:
            if self.backend_name == DEFAULT_BACKEND:
                from coopery.places.layout import LayoutPlace

                self._place = LayoutPlace(self.home.root)
            else:
                self._place = self.backend(self.emit).place
        return self._place

    @property
    def ledger(self) -> Ledger:
        """The records, seen from this builder's place."""
        return Ledger(self.cache, self.place)

    def backend(self, emit: Callable[[Event], None]) -> Backend:
        """This builder's backend, reporting to *emit*."""
        return self.plugins_loaded.backend(self.backend_name)(self.workshop(emit))

    def workshop(self, emit: Callable[[Event], None]) -> Workshop:
        """What plugins are lent, reporting to *emit*."""
        from coopery.backend import Workshop

        def source(name: str) -> Any:
            return self.plugins_loaded.base_source(name)(shop)

        shop = Workshop(self.home.root, self.home.staging, self.home.blobs, self.settings, source, emit)
        return shop

    def emit(self, event: Event) -> None:
        """Hand *event* to this builder's listener, and to observing plugins where plugins are in use."""
        if self._on_event is not None:
            self._on_event(event)
        if self._plugins is not None and self._plugins.observed:
            self._plugins.observe(event)

    # --- within -------------------------------------------------------------------------------------

    def _build_once(self, sealed: Sealed, key: str, *, rebuild: bool) -> Image:
        from coopery import preflight, records
        from coopery.make import make

        preflight.check(sealed.environment, self.backend_name, self.plugins_loaded)
        self.home.make()
        ledger = self.ledger
        before = ledger.resolution(key) if rebuild else None
        oldest = before.generation + 1 if before is not None else 1

        def look() -> Image | None:
            known = ledger.resolution(key)
            return ledger.locate(known) if known is not None and known.generation >= oldest else None

        def build(guard: Guard) -> Image:
            return make(self, sealed, key, guard, rebuild=rebuild)

        def waiting(holder: str) -> None:
            self.emit(Waiting(key=key, holder=holder))

        owner = f"{records.writer()} pid {os.getpid()}"
        flown = f"{key}@{self.place.name}{f' generation {oldest}' if rebuild else ''}"
        return self._flight.run(flown, owner, look, build, waiting)

    def _open(self, url: str) -> Cache:
        from coopery.stores import open_cache

        def notice(message: str) -> None:
            self.emit(Warned(message=message))

        return open_cache(url, self.home.root, notice=notice, registered=lambda: self.plugins_loaded.caches().values())

    def _runner(self) -> Place:
        """The backend's own place: only it can run what is in it."""
        return self.backend(self.emit).place

    @cached_property
    def _flight(self) -> Flight:
        """One for all builds of this builder, so that its threads join each other."""
        from coopery.flight import Flight
        from coopery.stores import leases_of

        return Flight(leases_of(self.cache), LEASE_SECONDS)

    def _image_of(self, ref: str) -> Image:
        key = self.find(ref)
        image = self.ledger.look(key)
        if image is None:
            raise NotFound(f"the image of key {key} is not in {self.place.name}", remedy="build its definition again")
        return image

    def _identity_of(self, ref: Environment | str) -> dict[str, Any]:
        if isinstance(ref, Environment):
            return self.identity(ref)
        known = self.ledger.resolution(self.find(ref))
        if known is None:
            raise NotFound(f"the record of {ref!r} is damaged", remedy="build its definition again")
        return dict(known.identity)
