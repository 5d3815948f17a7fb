"""The builder: definition in, image out, once.

seal ─► key ─► known, and its image exists? ──yes──► the image
                      │ no
                      ▼  one builder per key; everyone else waits for its result
stage 1 (base, steps) ─► stage 2 (lock, layers) ─► assemble ─► materialize ─► verify ─► record   (`coopery.make`)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen

from coopery import key as _key
from coopery import use
from coopery.definition import Environment, ImageBase
from coopery.errors import NotFound, UsageError
from coopery.events import BaseMoved, Event, Hit, Waiting, Warned
from coopery.home import Home
from coopery.image import Image
from coopery.ledger import Details, Ledger, only
from coopery.platform import DEFAULT as DEFAULT_PLATFORM
from coopery.seal import seal
from coopery.settings import Settings
from coopery.settings import load as load_settings

if TYPE_CHECKING:
    from coopery.backend import Backend, Examination, Placed, Workshop
    from coopery.cache import Cache
    from coopery.collect.collection import Collected
    from coopery.collect.pins import Pin
    from coopery.collect.usage import Usage
    from coopery.compare.check import Checked
    from coopery.compare.comparison import Comparison
    from coopery.digest import Digest
    from coopery.engines.doctor import Diagnosis
    from coopery.engines.needs import Need
    from coopery.flight import Flight, Guard
    from coopery.leases import Leases
    from coopery.lock import Lock
    from coopery.locking import Choice, Held
    from coopery.order import Order
    from coopery.place import Place, RunRequest
    from coopery.plugins import PluginInfo, Plugins
    from coopery.records import Resolution
    from coopery.redact import Redactor
    from coopery.relocking import Relock
    from coopery.settings.report import Report
    from coopery.why import Difference

__all__ = ["DEFAULT_BACKEND", "Builder", "Details", "Plan"]

DEFAULT_BACKEND: Final = "oci"
"""Its place is the layout in the home, which core can ask by itself: a hit needs no plugin at all."""

LEASE_SECONDS: Final = 30.0


@frozen
class Plan:
    """What `Builder.build` would do now. ``stages`` are lines for people; ``lock`` is known only for a known key.

    ``lock_file`` names the lock file that would be used; empty: none.
    """

    key: str
    known: bool
    backend: str
    stages: tuple[str, ...]
    image: Image | None = None
    lock: Lock | None = None
    lock_file: str = ""


class Builder:
    """Builds environments. Holds no globals: two builders with different homes do not know of each other.

    Args:
        cache: a cache store, or its URL, ``sqlite:`` (in the home) or ``sqlite:/path``; several URLs, parted by spaces,
            are looked in one after the other (`coopery.stores.open_cache`). The settings' unless given.
        backend: name of the backend; the settings' unless given. Where neither names one, ``oci``, and for what needs
            an engine the first that works (`coopery.engines.choose`).
        home: cache folder; the settings' unless given.
        settings: the outside world; read from files and environment unless given.
        on_event: called with every event, from the thread that caused it. Must return promptly.
        plugins: which plugins there are; the installed ones unless given.
        secrets: id → value of the build secrets that steps may need. Never kept, never in a key; masked in all output.
        step_seconds: a ``run:`` step that takes longer is ended; 0: never.
        leases: who builds is agreed here: `Leases`, or the URL of a store that has them; those of *cache* unless given.

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
        secrets: Mapping[str, str | bytes] | None = None,
        step_seconds: float = 0.0,
        leases: str | Leases | None = None,
    ) -> None:
        self.settings = settings or load_settings()
        if home is not None:
            self.settings = evolve(self.settings, home=Path(home).expanduser().absolute())
        self.home = Home(self.settings.home)
        self.named = bool(backend or self.settings.backend)
        self.backend_name = backend or self.settings.backend or DEFAULT_BACKEND
        self.examined: dict[str, Examination] = {}
        self.secrets = _checked(secrets) if secrets else {}
        self.step_seconds = step_seconds
        self._others: dict[str, Builder] = {}
        self._on_event = on_event
        self._plugins = plugins
        self._store = cache or self.settings.cache
        self._cache: Cache | None = None
        self._leases = leases
        self._leasing: Cache | None = None
        self._place: Place | None = None

    def __enter__(self) -> Builder:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the cache store, unless it was handed in. May be called twice."""
        if self._cache is not None and isinstance(self._store, str):
            self._cache.close()
        if self._leasing is not None:
            self._leasing.close()
        self._cache = self._leasing = None

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

    def build(
        self, environment: Environment, *, rebuild: bool = False, lock: Choice = None, frozen: bool = False
    ) -> Image:
        """The image of *environment*: found at once where it is known, else built once for all who ask.

        Args:
            environment: the definition.
            rebuild: build again, as the next generation; earlier ones stay. Packages are resolved again, unless a lock
                file says which.
            lock: the lock to build from, or the path of its file; the file beside the definition unless given, if there
                is one; False for none.
            frozen: resolve nothing, and take no base but the lock's.

        Raises:
            DefinitionError: something that it names on disk is missing or cannot be read.
            LockFileError: the lock file has mistakes.
            StaleLock: *frozen*, and there is no lock, or it does not answer the definition; nothing was fetched.
            UnsupportedError, PluginError: the backend or the plugins cannot do it; nothing was fetched.
            BuildError: a stage failed; ``log`` names the file that keeps all of it.
            CacheError: the disk failed.
        """
        return self.fulfil(self._order(environment, rebuild=rebuild, lock=lock, frozen=frozen))

    def fulfil(self, order: Order) -> Image:
        """The image of *order*, as `build` has it."""
        if not order.rebuild and (found := self._believed(order)) is not None:
            image, stale = found
            if stale and order.held is not None:
                from coopery.locking import stale_warning

                self.emit(Warned(key=order.key, message=stale_warning(order.held.shown, stale)))
            self.emit(Hit(key=order.key, reference=image.reference))
            return image
        return self._build_once(order)

    def lock(self, environment: Environment) -> Lock:
        """What *environment* resolves to: its lock file's packages, the recorded ones, or new ones; writes no file.

        Raises:
            UsageError: it has no packages, so there is nothing to lock.
            BuildError: the base or the packages cannot be had.
        """
        platform = environment.target.platform
        return self.relock(environment, platforms=(platform,)).after_for(platform).lock

    def relock(
        self,
        environment: Environment,
        *,
        platforms: Sequence[str] = (),
        update: Sequence[str] | bool = False,
        file: str | os.PathLike[str] | None = None,
    ) -> Relock:
        """What `coopery lock` would write, and how that differs from what is there. Cuts no layer, writes no file.

        Args:
            environment: the definition.
            platforms: those to look at; the file's and the definition's own unless given.
            update: names of packages to choose anew, or True for all of them and the base.
            file: the lock file; the one beside the definition unless given.

        Returns:
            `Relock.save` writes it.

        Raises:
            UsageError: it has no packages, so there is nothing to lock; or a name that no lock has.
            LockFileError: the lock file has mistakes.
            BuildError: the base or the packages cannot be had.
        """
        from coopery.relocking import relock

        path = None if file is None else Path(file)
        with use.working(self.home.root):
            return relock(self.serving(environment), environment, platforms, update, path)

    def adopt(
        self,
        environment: Environment,
        files: Sequence[str | os.PathLike[str]],
        *,
        name: str = "",
        without: Iterable[str] = (),
        platforms: Sequence[str] = (),
        file: str | os.PathLike[str] | None = None,
    ) -> Relock:
        """As `relock`, with packages as other tools' lock files list them: what pixi or conda-lock chose, stays.

        Sections that no file speaks of are resolved. Writes no file.

        Args:
            environment: the definition, which the packages must answer.
            files: ``pixi.lock``, ``conda-lock.yml``, an explicit list, ``pylock.toml``, requirements with hashes.
            name: the files' name for an environment, category or group; their default unless given.
            without: names of packages to leave out.
            platforms: the definition's own unless given.
            file: the lock file; the one beside the definition unless given.

        Raises:
            LockFileError: every mistake in a file, each with its place; or the lock file has mistakes.
            UsageError: a file lists packages that no section of the definition asks for.
            ResolveError: the packages do not answer the definition, do not run on the target, or are not to be found.
            BuildError: the base or an index cannot be had.
        """
        from coopery.interchange import Pick, adopt

        pick = Pick(name, frozenset(without))
        path = None if file is None else Path(file)
        return adopt(self.serving(environment), environment, files, pick, platforms, path)

    def publish(self, environment: Environment, lock: Lock, form: str, *, only: Sequence[str] = ()) -> bytes:
        """*lock* in another tool's form.

        Args:
            environment: the definition that it is the lock of: it says where its channels and indexes are.
            lock: what to write.
            form: ``pixi``, ``explicit``, ``pylock`` or ``requirements``.
            only: kinds of packages to write, ``conda`` or ``pip``; all of them unless given.

        Raises:
            UsageError: no such form, or it has no room for packages of a kind.
            BuildError: a channel or an index cannot be asked where its files are.
        """
        from coopery.interchange import publish

        return publish(self, environment, lock, form, only)

    def check_lock(self, environment: Environment, *, file: str | os.PathLike[str] | None = None) -> None:
        """See that there is a lock file, and that it answers the definition. Fetches nothing.

        Args:
            environment: the definition.
            file: the lock file; the one beside the definition unless given.

        Raises:
            StaleLock: it is missing, or does not answer.
            LockFileError: it has mistakes.
        """
        from coopery.relocking import check

        check(self, environment, None if file is None else Path(file))

    def plan(self, environment: Environment, *, lock: Choice = None) -> Plan:
        """What `build` would do now. Nothing is fetched or made; what the backend lacks is refused."""
        from coopery import preflight
        from coopery.planning import locks, stages

        order = self._order(environment, lock=lock, local=True)
        known = next(self.ledger.known(order.key, order.under), None)
        image = self.ledger.locate(known) if known is not None else None
        if image is None and (other := self.serving(environment, known)) is not self:
            return other.plan(environment, lock=lock)
        if image is None:
            preflight.check(environment, self.backend_name, self.plugins_loaded)
        held = order.held
        told = locks(self, order, known)
        return Plan(
            order.key,
            known is not None,
            self.backend_name,
            stages(order.sealed, known, image, told),
            image,
            known.lock if known is not None else None,
            held.shown if held is not None else "",
        )

    def run(self, ref: Environment | str, request: RunRequest) -> int:
        """Run a process in the image of *ref*; a definition that has none is built first.

        Returns:
            The exit status of the process; 128 + n when signal n ended it.

        Raises:
            NotFound: *ref* is a key, or a pulled image's reference, and the image is not here.
        """
        from coopery.engines.running import run

        return run(self, ref, request)

    def debug(self, ref: Environment | str, request: RunRequest) -> int:
        """Run a process on the snapshot below the step that failed last; nothing of it is kept.

        Args:
            ref: a definition or key whose newest build failed in a step.
            request: what to run; without an argv, a shell.

        Returns:
            The exit status, as `run`.

        Raises:
            NotFound: no step of it failed, or the snapshot is no longer kept.
        """
        from coopery.engines.running import debug

        return debug(self, self.key(ref) if isinstance(ref, Environment) else ref, request)

    def doctor(self) -> Diagnosis:
        """What works here and what does not, by trying: backends, their engines, the machine. Changes nothing."""
        from coopery.engines.doctor import diagnose

        return diagnose(self)

    def export(self, image: Image, to: str) -> str:
        """Write *image* elsewhere.

        Args:
            image: one that this builder returned.
            to: ``oci:FOLDER[:TAG]``, ``oci-archive:FILE[:TAG]`` or ``docker-archive:FILE[:TAG]``; or, to build it with
                other tools, ``dockerfile:FOLDER``, ``apptainer:FILE`` or ``devcontainer:FOLDER``; or what an installed
                backend writes: ``sif:FILE``, ``squashfs:FILE``.

        Returns:
            The reference to give to other tools; for those that build, the path to give to them.

        Raises:
            UsageError: another form.
            CacheError: the disk failed; nothing half-written stays.
        """
        from coopery.exporting import export

        with use.working(self.home.root):
            return export(self, image, to)

    def push(self, ref: Image | Environment | str, to: str, *, compression: str | None = None) -> Placed:
        """Put an image into a registry, layers compressed; only what the registry lacks is sent, the tag moves last.

        Args:
            ref: an image, a definition (built first, once the right to push is checked), or what `image` takes.
            to: ``HOST[:PORT]/REPOSITORY[:TAG]``; the tag is taken from the key unless given.
            compression: ``gzip`` or ``zstd``; the settings' unless given.

        Returns:
            Where it is now; ``digest`` is the registry's, which depends on the compression. The image id does not.

        Raises:
            UsageError: *to* is no reference that can be pushed to.
            NetworkError: the registry cannot be reached, or refuses.
            BuildError, CacheError: the image could not be built, or is damaged here.
        """
        from coopery import pushing

        if isinstance(ref, Environment):
            pushing.check(self, to)
            ref = self.build(ref)
        with use.working(self.home.root):
            return pushing.push(self, self.image(ref) if isinstance(ref, str) else ref, to, compression)

    def check_push(self, to: str) -> None:
        """See that images can be pushed to *to* now; nothing is sent.

        Raises:
            UsageError: *to* is no reference that can be pushed to.
            NetworkError: the registry cannot be reached, or refuses.
        """
        from coopery import pushing

        pushing.check(self, to)

    def pull(self, reference: str, platform: str = DEFAULT_PLATFORM) -> Image:
        """Bring an image from a registry into the cache folder's layout; what is here already does not travel.

        Args:
            reference: ``HOST[:PORT]/REPOSITORY[:TAG]`` or ``…@sha256:…``; without a host, Docker Hub's.
            platform: of an image for several.

        Returns:
            The image, with an empty key: what it was made from is not known.

        Raises:
            NetworkError, BaseError: it cannot be had, or not for *platform*.
            IntegrityError: bytes are not what they should be.
        """
        from coopery import pulling

        with use.working(self.home.root):
            return pulling.pull(self, reference, platform)

    def image(self, ref: str) -> Image:
        """An image that is here: by its key or the first digits of one, or by the reference that `pull` returned.

        Raises:
            NotFound: it is not here.
        """
        if ref.startswith("oci:"):
            from coopery import pulling

            return pulling.find(self, ref)
        return self._image_of(ref)

    # --- what is recorded -------------------------------------------------------------------------

    def find(self, ref: str) -> str:
        """The one recorded key that begins with *ref*; NotFound or UsageError where there is none, or several."""
        return self.ledger.find(ref)

    def details(self, ref: Environment | str) -> Details:
        """What is recorded of a definition or key; nothing is built. NotFound when nothing is."""
        from coopery.engines.elsewhere import details

        if isinstance(ref, str):
            return details(self, self.find(ref))
        order = self._order(ref, local=True)
        return details(self, order.key, order.under)

    def dockerfile(self, ref: Environment | str) -> str:
        """The equivalent Dockerfile of what was built, for people; `export` writes one with all that it needs.

        Raises:
            NotFound: nothing is recorded.
            UsageError: a variable or path cannot stand in a Dockerfile.
        """
        from coopery.export import told

        return told(self, self.find(ref) if isinstance(ref, str) else self.details(ref).key)

    def list(self) -> tuple[Details, ...]:
        """Every key that is recorded, newest first."""
        from coopery.engines.elsewhere import listed

        return listed(self)

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

    def settings_report(self) -> Report:
        """The settings, each with where it came from; hosts with a known login. No secret is in it.

        Raises:
            SettingsError, UsageError: the netrc file, or one of Docker's or Podman's, cannot be read.
        """
        from coopery.settings.report import report

        return report(self.settings)

    # --- the cache folder ---------------------------------------------------------------------------

    def check(self, environment: Environment, *, lock: Choice = None) -> Checked:
        """Build *environment* again from nothing but its recorded lock, and compare; if need be, it is built first.

        Layers are cut and bytecode is compiled anew, in a folder that is deleted at the end. Packages, and compressed
        layers of bases, are not fetched again: they are verified by their sha256.

        Args:
            environment: the definition.
            lock: as for `build`.

        Raises:
            DriftError: the image differs; names the first file that does, and all others.
            BuildError, IntegrityError, CacheError: as `build`.
        """
        from coopery.compare import check

        return check.check(self.serving(environment), environment, lock)

    def diff(
        self, first: Environment | str | Path, second: Environment | str | Path, *, platform: str = ""
    ) -> Comparison:
        """What differs between two environments: inputs, base, packages, layers, config. Builds nothing.

        Args:
            first: a definition, a key, the path of a lock file, or an image: ``oci:``, ``oci-archive:``,
                ``docker-archive:`` or ``docker://``.
            second: another.
            platform: of lock files and images for several.

        Raises:
            NotFound, UsageError: a side that is not there, or cannot be understood.
        """
        from coopery.compare import comparison, sides

        return comparison.compare(*sides.read(self, first, second, platform))

    def disk(self) -> Usage:
        """What takes how much in the cache folder, by kind and by image. Changes nothing, not even what counts as used.

        Raises:
            IntegrityError: the layout's index, an image's documents or a pin are damaged.
            CacheError: the disk or the records cannot be read.
        """
        from coopery.collect import operations

        return operations.disk(self)

    def gc(
        self,
        *,
        keep_last: int | None = None,
        unused_for: float | None = None,
        max_size: int | None = None,
        dry_run: bool = False,
        grace: float = 3600.0,
    ) -> Collected:
        """Take out of the cache folder what is not needed. Safe at any moment, beside any number of builds.

        Without a limit, what nothing refers to any more goes. Never what a pin, a running build or another tool's
        entry needs, what was made or used within *grace*, and what Coopery did not make. Records of keys stay: an
        image that went is built again with the same id.

        Args:
            keep_last: of each name this many images stay, the last used ones; given alone, all others go.
            unused_for: seconds; images, packages and the like that were not used for so long go.
            max_size: bytes; then what was used longest ago goes until no more is left than that, images last.
            dry_run: only say what would go.
            grace: seconds.

        Raises:
            UsageError: a negative limit.
            CacheError: the folder is not Coopery's, or the disk failed.
            IntegrityError: something is damaged, so that nobody knows what is needed. Nothing was taken.
        """
        from coopery.collect import operations
        from coopery.collect.policy import Limits

        return operations.gc(self, Limits(keep_last, unused_for, max_size), dry_run=dry_run, grace=grace)

    def pin(self, ref: Environment | str | Path, name: str = "") -> Pin:
        """Keep an image, with the packages of its lock, until `unpin`; or the packages of a lock file.

        Args:
            ref: a definition or key whose image is here, or the path of a lock file.
            name: of the pin; the definition's own, or the file's, unless given.

        Raises:
            NotFound: there is no such image here.
            UsageError: no name of a pin, or one that is taken.
        """
        from coopery.collect import operations

        return operations.pin(self, ref, name)

    def unpin(self, name: str) -> Pin:
        """Forget the pin called *name*; what it kept stays until the next `gc` that would take it.

        Raises:
            NotFound: there is none.
        """
        from coopery.collect import pins

        return pins.remove(self.home, name)

    def pins(self) -> tuple[Pin, ...]:
        """All pins, by name."""
        from coopery.collect import pins

        return pins.pins(self.home)

    # --- parts, each made on first use --------------------------------------------------------------

    @property
    def cache(self) -> Cache:
        """The store of records."""
        if self._cache is None:
            self._cache = self._open(self._store) if isinstance(self._store, str) else self._store
        return self._cache

    @property
    def leases(self) -> Leases | None:
        """Where it is agreed who builds; None where the store of records has no leases, and no other one was named.

        Raises:
            UsageError: the store that was named has none.
        """
        from coopery.stores import leases_of

        if self._leases is None:
            return leases_of(self.cache)
        if not isinstance(self._leases, str):
            return self._leases
        if self._leasing is None:
            self._leasing = self._open(self._leases)
        found = leases_of(self._leasing)
        if found is None:
            raise UsageError(f"{self._leasing!r} has no leases", remedy="name sqlite:, directory: or redis: for them")
        return found

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

        shop = Workshop(
            self.home.root,
            self.home.staging,
            self.home.blobs,
            self.settings,
            source,
            emit,
            secrets=self.secrets,
            step_seconds=self.step_seconds,
        )
        return shop

    def at(self, backend: str) -> Builder:
        """This builder with another backend: the same folder, records, settings and listener. Lives as long as this."""
        if backend == self.backend_name:
            return self
        if backend not in self._others:
            self._others[backend] = Builder(
                cache=self.cache,
                backend=backend,
                settings=self.settings,
                on_event=self._on_event,
                plugins=self.plugins_loaded,
                secrets=self.secrets,
                step_seconds=self.step_seconds,
                leases=self.leases,
            )
        return self._others[backend]

    def serving(self, environment: Environment, known: Resolution | None = None, also: Sequence[Need] = ()) -> Builder:
        """This builder; where nobody named a backend, perhaps one on another (`coopery.engines.choose.serving`)."""
        if self.named:
            return self
        from coopery.engines.choose import serving

        return serving(self, environment, known, also)

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

    # --- within -------------------------------------------------------------------------------------

    def _order(
        self,
        environment: Environment,
        *,
        rebuild: bool = False,
        lock: Choice = None,
        frozen: bool = False,
        local: bool = False,
    ) -> Order:
        """What is wanted. With *local* no registry is asked, whatever the settings say of bases that moved."""
        from coopery.order import Order

        sealed = seal(environment)
        key = _key.compute(sealed)
        held = self._held(environment, lock, key)
        base = None
        if frozen:
            from coopery.locking import demand

            locked = demand(self, sealed, held)
            base = locked.lock.base if locked is not None else None
        elif held is None and not rebuild and not local and self.settings.moved_base == "rebuild":
            base = self._base_today(environment, key)
        return Order(sealed, key, held, base, rebuild, frozen)

    def _held(self, environment: Environment, choice: Choice, key: str) -> Held | None:
        """The lock in play. Most builds have none, and then nothing is imported for it."""
        beside = environment.file.with_suffix(".lock") if environment.file is not None else None
        if choice is False or (choice in (None, True) and not (beside and os.path.lexists(beside))):
            return None
        from coopery.locking import choose

        return choose(environment, choice, lambda message: self.emit(Warned(key=key, message=message)))

    def _base_today(self, environment: Environment, key: str) -> Digest | None:
        """What the tag of the base names today, where a record says what it named; None: nothing to compare."""
        known = self.ledger.resolution(key) if isinstance(environment.base, ImageBase) else None
        if known is None or not isinstance(environment.base, ImageBase) or "@sha256:" in environment.base.image:
            return None
        from coopery.pulling import current_digest

        now = current_digest(self, environment)
        if now != known.base:
            self.emit(BaseMoved(key=key, reference=environment.base.image, before=known.base, after=now))
        return now

    def _believed(self, order: Order) -> tuple[Image, tuple[str, ...]] | None:
        """An image that is recorded for *order* and really there, and why its lock file was stale, if it was."""
        for known in self.ledger.known(order.key, order.under):
            if order.accepts(known) and (image := self.ledger.believe(known)) is not None:
                return image, known.stale
        return None

    def _build_once(self, order: Order) -> Image:
        from coopery import preflight, records
        from coopery.engines import secrets
        from coopery.make import make

        environment = order.sealed.environment
        if (other := self.serving(environment, self.ledger.newest(order.key))) is not self:
            return other.fulfil(order)
        order = order.read()
        preflight.check(environment, self.backend_name, self.plugins_loaded)
        secrets.demand(environment, self.secrets)
        self.home.make()
        ledger = self.ledger
        before = ledger.resolution(order.key, order.under) if order.rebuild else None
        oldest = before.generation + 1 if before is not None else 1

        def look() -> Image | None:
            if not order.rebuild:
                found = self._believed(order)
                return found[0] if found is not None else None
            known = ledger.resolution(order.key, order.under)
            newer = known is not None and known.generation >= oldest and order.accepts(known)
            return ledger.believe(known) if known is not None and newer else None

        def build(guard: Guard) -> Image:
            return make(self, order, guard)

        def waiting(holder: str) -> None:
            self.emit(Waiting(key=order.key, holder=holder))

        owner = f"{records.writer()} pid {os.getpid()}"
        name = records.resolution_name(order.key, order.under)
        flown = f"{name}@{self.place.name}{f' generation {oldest}' if order.rebuild else ''}{order.flight}"
        with use.working(self.home.root):  # what we make and mark from now on is not collected
            return self._flight.run(flown, owner, look, build, waiting)

    def _open(self, url: str) -> Cache:
        from coopery.stores import open_cache

        def notice(message: str) -> None:
            self.emit(Warned(message=message))

        return open_cache(url, self.home.root, notice=notice, registered=lambda: self.plugins_loaded.caches().values())

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
    def _flight(self) -> Flight:
        """One for all builds of this builder, so that its threads join each other."""
        from coopery.flight import Flight

        return Flight(self.leases, LEASE_SECONDS)

    def _image_of(self, ref: str) -> Image:
        key = self.find(ref)
        image = self.ledger.look(key)
        if image is None:
            from coopery.engines.elsewhere import image_of

            image = image_of(self, key)
        if image is None:
            raise NotFound(f"the image of key {key} is not in {self.place.name}", remedy="build its definition again")
        return image

    def _identity_of(self, ref: Environment | str) -> dict[str, Any]:
        if isinstance(ref, Environment):
            return self.identity(ref)
        known = self.ledger.newest(self.find(ref))
        if known is None:
            raise NotFound(f"the record of {ref!r} is damaged", remedy="build its definition again")
        return dict(known.identity)


def _checked(secrets: Mapping[str, str | bytes]) -> dict[str, bytes]:
    from coopery.engines.secrets import checked

    return checked(secrets)
