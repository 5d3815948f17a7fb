"""The builder: definition in, image out, once.

seal ─► key ─► known, and its image exists? ──yes──► the image
                      │ no
                      ▼  one builder per key; everyone else waits for its result   (`coopery.building.once`)
stage 1 (base, steps) ─► stage 2 (lock, layers) ─► assemble ─► materialize ─► verify ─► record   (`coopery.stages.make`)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from coopery.building import once, wanted
from coopery.building.folder import Folder
from coopery.building.images import Images
from coopery.building.known import Known
from coopery.building.locks import Locks
from coopery.building.parts import DEFAULT_BACKEND
from coopery.ledger import Details

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Executor

    from coopery.building.many import Built
    from coopery.building.order import Order
    from coopery.definition import Environment
    from coopery.image import Image
    from coopery.lock import Lock
    from coopery.locks.fitting import Choice

__all__ = ["DEFAULT_BACKEND", "Builder", "Details", "Plan"]


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


class Builder(Known, Locks, Images, Folder):
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
        lease_seconds: whoever builds shows that often, and more, that it lives; one on another machine that has been
            silent for so long is replaced.

    Use it as a context manager, or call `close`.
    """

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
        return self.fulfil(wanted.order(self, environment, rebuild=rebuild, lock=lock, frozen=frozen))

    async def build_async(
        self, environment: Environment, *, rebuild: bool = False, lock: Choice = None, frozen: bool = False
    ) -> Image:
        """As `build`, for coroutines of any asyncio event loop; thousands may wait, on a few threads.

        All that ask for one definition share one look and one build, with threads and with other processes. A caller
        that is cancelled hurts nobody; when all are, the build is stopped within two seconds, unless a thread waits.

        Raises:
            CooperyError: as `build`; each caller has an error of its own.
            Cancelled: the builder was closed meanwhile.
        """
        from coopery.building.asking import Wish

        return await self.asking.ask(Wish(environment, rebuild, lock, frozen))

    def build_many(
        self,
        environments: Iterable[Environment],
        executor: Executor | None = None,
        *,
        rebuild: bool = False,
        lock: bool | None = None,
        frozen: bool = False,
    ) -> list[Built]:
        """The images of many definitions, in their order; equal ones are built once. One that fails stops no other.

        A task whose worker goes away is handed out twice more, then built in this process.

        Args:
            environments: the definitions.
            executor: any `concurrent.futures.Executor`: threads share this builder; worker processes, on this machine
                or others (``client.get_executor()`` of Dask), each make one like it. They need the same Coopery, the
                definitions' files under the same paths, and a store of records that all of them reach. Threads, one
                for each processor, unless given.
            rebuild: as for `build`.
            frozen: as for `build`.
            lock: None for the lock files beside the definitions, False for none.

        Raises:
            UsageError: this builder was given what cannot be described to another process: an opened store, plugins, a
                listener, secrets (which would travel in the clear).
        """
        from coopery.building import many

        return many.build_many(self, environments, executor, many.Options(rebuild, lock, frozen))

    def fulfil(self, order: Order) -> Image:
        """The image of *order*, as `build` has it."""
        return once.fulfil(self, order)

    def plan(self, environment: Environment, *, lock: Choice = None) -> Plan:
        """What `build` would do now. Nothing is fetched or made.

        Raises:
            UnsupportedError, PluginError: the backend or the plugins cannot do it, and nobody is recorded to have it.
        """
        from coopery import planning

        order = wanted.order(self, environment, lock=lock, local=True)
        known = next(self.ledger.known(order.key, order.under), None)
        image = self.ledger.locate(known) if known is not None else None
        brought = ""
        if image is None:
            other = planning.builds(self, environment, known)
            if other is not None and other is not self:
                return other.plan(environment, lock=lock)
            brought = planning.source(self, known) if known is not None else ""
        held = order.held
        told = planning.locks(self, order, known)
        return Plan(
            order.key,
            known is not None,
            self.backend_name,
            planning.stages(order.sealed, known, image, told, brought),
            image,
            known.lock if known is not None else None,
            held.shown if held is not None else "",
        )
