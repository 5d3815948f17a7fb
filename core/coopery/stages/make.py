"""The miss path: one build, from sealed definition to a recorded image. Runs in the one process that holds the lease.

Nothing is recorded before the place has reported our image id; a builder that lost its lease, or was overtaken, takes
the winner's record instead of its own (compare-and-set on the generation).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from coopery import keeping, records
from coopery import key as _key
from coopery import target as _target
from coopery.assemble import assemble
from coopery.cancel import Cancel, Cancelled, stopped
from coopery.engines import failed_step, gpu, interpreter, transfer
from coopery.engines.needs import builds_packages
from coopery.errors import BackendError, CooperyError, DriftError, ResolveError
from coopery.events import (
    BuildFailed,
    BuildFinished,
    BuildStarted,
    Emit,
    Event,
    Output,
    Progress,
    StageFinished,
    StageStarted,
    Warned,
)
from coopery.image import Image
from coopery.lock import moves
from coopery.lockfile import Locked, asked
from coopery.locks import choosing
from coopery.locks.choosing import Chosen
from coopery.locks.fitting import Fit
from coopery.logs import BuildLog
from coopery.place import Presence
from coopery.preflight import sections
from coopery.records import Placement, Resolution
from coopery.seal import recheck
from coopery.stages import errands, first, recording, second
from coopery.stages.first import Ground
from coopery.stages.pointing import point, pointing
from coopery.stages.recording import Draft
from coopery.target import Resolved

if TYPE_CHECKING:
    from coopery.backend import Backend
    from coopery.build import Builder
    from coopery.building.order import Order
    from coopery.flights.flight import Guard
    from coopery.layer import Layer, Tree
    from coopery.lock import Lock
    from coopery.materializer import Configuration
    from coopery.target import Provided


@frozen
class _Packages:
    """What stage 2 made; empty when the user manages Python. ``asked`` is the lock before sources were built."""

    lock: Lock | None = None
    asked: Lock | None = None
    layers: tuple[Layer, ...] = ()
    configuration: Configuration | None = None
    provided: Provided | None = None
    stale: tuple[str, ...] = ()


def make(builder: Builder, order: Order, guard: Guard) -> Image:
    """Build what *order* wants, put the image into the builder's place, verify and record it.

    Raises:
        BuildError, CacheError, IntegrityError: what failed; the log is kept and named by the error.
    """
    started = time.monotonic()
    key, sealed = order.key, order.sealed
    log = BuildLog.create(builder.home.root, key, builder.masked)
    clock: Counter[str] = Counter()

    def emit(event: Event) -> None:
        if isinstance(event, Output | Progress):
            guard.cancel.check()
        event = event if event.key else event.replace(key=key)  # plugins need not know which build they serve
        log(event)
        if isinstance(event, StageFinished):
            clock[event.stage] += event.seconds  # type: ignore[assignment]  # a Counter of seconds
        builder.emit(event)

    with log:
        emit(BuildStarted(key=key, name=sealed.environment.name, log=str(log.path)))
        try:
            image = _Job(builder, order, guard, emit, str(log.path)).run()
        except BaseException as raised:
            exc = _meant(raised, guard)
            if isinstance(exc, CooperyError):
                exc.log = str(log.path)
                builder.redactor.error(exc)
            if isinstance(exc, ResolveError):
                point(exc, sealed.environment)
            emit(BuildFailed(key=key, message=_words(exc), log=str(log.path)))
            if exc is not raised:
                raise exc from raised
            raise
        failed_step.forget(builder.home, key)
        seconds = time.monotonic() - started
        emit(BuildFinished(key=key, reference=image.reference, image=image.id, seconds=seconds))
    keeping.attach(builder, image, log.path, builder.emit)
    return evolve(image, made=evolve(image.made, seconds=(*sorted(clock.items()), ("total", seconds))))


def _meant(raised: BaseException, guard: Guard) -> BaseException:
    """What *raised* means: a step that was ended because nobody waits for it did not fail."""
    if not isinstance(raised, Cancelled) and isinstance(raised, Exception) and guard.cancel.is_set():
        return stopped()
    return raised


def resolve(builder: Builder, order: Order, prefer: Lock | None, *, anew: bool) -> tuple[Chosen, Fit]:
    """Lay the ground and choose packages, without building.

    Args:
        builder: whose base, settings and plugins are used.
        order: what is wanted. If its lock answers, that is taken.
        prefer: the lock to stay with where packages are resolved.
        anew: resolve even so.

    Returns:
        The packages; and how the lock of *order* goes with the definition.
    """
    from coopery import preflight
    from coopery.locks import fitting

    environment = order.sealed.environment
    preflight.check(environment, builder.backend_name, builder.plugins_loaded)
    builder.home.make()
    job = _Job(builder, order, None, builder.emit, "")
    ground = job.ground(None)
    target = job.target(ground)
    second.check_prefix(ground.facts, environment.prefix)
    with job.bench(ground) as bench:
        locked = order.held.read() if order.held is not None else None
        found = fitting.fit(locked, asked(_key.identity(order.sealed)), target, bench) if locked else Fit()
        if locked is not None and not found.reasons and not anew:
            return Chosen(evolve(locked.lock, base=target.base, facts=target.used())), found
        with pointing(environment):
            return Chosen(bench.resolve(target, prefer), found.reasons), found


class _Job:
    """One build in progress: the parts that every stage needs, held once."""

    def __init__(self, builder: Builder, order: Order, guard: Guard | None, emit: Emit, log: str) -> None:
        self.builder = builder
        self.order = order
        self.sealed = order.sealed
        self.key = order.key
        self.emit = emit
        self._cancel = guard.cancel if guard is not None else Cancel()
        self.backend: Backend = builder.backend(emit, self._cancel)
        self._check: Callable[[], None] = guard.check if guard is not None else lambda: None
        self._log = log
        self._newest = 0  # generation of the newest record, even of one that does not read back

    def run(self) -> Image:
        """All stages, then the record."""
        record = self.builder.cache.get("resolution", records.resolution_name(self.key, self.order.under))
        before = records.resolution(record)
        self._newest = record.generation if record is not None else 0
        self._check()
        believed = self._believed(before)
        if believed is not None:
            brought = transfer.bring(self.builder, self.backend, believed, self.emit)
            if brought is not None:
                return brought
        ground = self.ground(before)
        self._check()
        packages = self._packages(ground, before)
        self._check()
        draft = self._put(ground, packages, before)
        recorded = recording.record(self.builder, self.backend.place, draft, self.emit)
        if recorded is not None:
            return recorded
        # On another machine somebody was faster, with other packages: here we make theirs, from their record.
        self.order = evolve(self.order, rebuild=False)
        return self.run()

    def _believed(self, before: Resolution | None) -> Resolution | None:
        """What is recorded, where it would do."""
        return before if before is not None and not self.order.rebuild and self.order.accepts(before) else None

    def ground(self, before: Resolution | None) -> Ground:
        """Stage 1, on the base that is known for it."""
        sealed = choosing.pinned(self.order, before, self.builder.settings)
        noted = failed_step.Noting(self.builder, self.key, self._log)
        ground = first.lay(sealed, self.backend, self.emit, self.key, fresh=self.order.rebuild, on_failure=noted)
        if sealed.environment.interpreter is not None:
            interpreter.check(self.backend.files(ground.snapshot), sealed.environment.interpreter, ground.facts.python)
        return ground

    def target(self, ground: Ground) -> Resolved:
        """What solvers are told."""
        return _target.of(self.sealed.environment, ground.facts, ground.base.digest)

    def bench(self, ground: Ground) -> second.Bench:
        """The materializers that this definition needs. The base's own Python may compile for them."""
        workshop = self.builder.workshop(self.emit, self._cancel)
        first.offer_python(ground, self.backend, workshop)
        plugins = self.builder.plugins_loaded
        able = [name for name, cls in plugins.backends().items() if builds_packages(cls.abilities)]
        ways = errands.Ways(self.backend, ground, self.target(ground), self.builder.home, self.emit, tuple(able))
        return second.bench(
            self.sealed.environment,
            plugins.materializers(sections(self.sealed.environment)),
            lambda cls: cls(workshop),
            self.emit,
            self.key,
            workshop.compilers.close,
            lambda lock, contents: errands.OnGround(ways, lock, contents),
        )

    def _packages(self, ground: Ground, before: Resolution | None) -> _Packages:
        with self.bench(ground) as bench:
            if not bench.materializers:
                return _Packages()
            second.check_prefix(ground.facts, self.sealed.environment.prefix)
            target = self.target(ground)
            chosen = choosing.choose(self.order, bench, target, before, self.emit)
            for links in self.order.sealed.links:
                recheck(links)  # what was resolved may have come from there
            lock = chosen.lock
            for note in gpu.check(lock, target, ground.facts):
                self.emit(Warned(key=self.key, message=note))
            started = time.monotonic()
            self.emit(StageStarted(key=self.key, stage="layers", detail=f"{len(lock.artifacts)} packages"))
            contents = bench.contents(lock, target)
            self._check_made_again(lock, contents.lock)
            lock = contents.lock
            layers = self._layers(contents.trees, target, len(ground.snapshot.layers))
        seconds = time.monotonic() - started
        self.emit(StageFinished(key=self.key, stage="layers", seconds=seconds, detail=made_and_reused(layers)))
        for note in contents.configuration.notes:
            self.emit(Warned(key=self.key, message=note))
        return _Packages(lock, chosen.lock, layers, contents.configuration, contents.provided, chosen.stale)

    def _check_made_again(self, asked: Lock, made: Lock) -> None:
        """Tell of files that had to be made again from their sources, and came out with other bytes."""
        other = [str(move.after) for move in moves(asked, made)]
        if not other:
            return
        words = f"{', '.join(other)}: built again from the source in the lock, with other bytes than the lock has"
        if self.order.frozen:
            raise DriftError(f"{words}, which --frozen refuses", other)
        self.emit(Warned(key=self.key, message=f"{words}; what was built now is in the image and in its record"))

    def _layers(self, trees: tuple[Tree, ...], target: Resolved, below: int) -> tuple[Layer, ...]:
        from coopery.layers.compose import compose
        from coopery.layers.store import LayerStore

        home = self.builder.home
        return compose(trees, target, LayerStore(home.layers, home.blobs, home.staging), below, self.emit)

    def _put(self, ground: Ground, packages: _Packages, before: Resolution | None) -> Draft:
        """Assemble, hand over to the place, and have the place confirm."""
        environment = self.sealed.environment
        started = time.monotonic()
        self.emit(StageStarted(key=self.key, stage="image"))
        target = self.target(ground) if packages.lock is not None else None
        assembled = assemble(ground.snapshot, packages.layers, packages.configuration, target)
        generation = self._newest + 1
        believed = self._believed(before)
        if believed is not None and recording.answers(believed, ground.base.digest, packages.asked, packages.stale):
            generation = believed.generation  # nothing new, so nothing for everybody: see `coopery.stages.recording`
        tag = records.tag(self.key, generation, self.order.under)
        if not self.backend.place.name.startswith("oci:"):  # the layout keeps it anyway
            transfer.keep(self.builder, assembled)
        placed = self.backend.materialize(ground.snapshot, assembled, packages.layers, tag)
        if self.backend.place.exists(assembled.image_id, placed.digest) is not Presence.YES:
            raise BackendError(self.backend.name, f"{placed.place} does not have {assembled.image_id} after it was put")
        self.emit(StageFinished(key=self.key, stage="image", seconds=time.monotonic() - started))
        provided = packages.provided
        identity = _key.identity(self.sealed)
        made = Resolution(
            key=self.key,
            generation=generation,
            image=assembled.image_id,
            base=ground.base.digest,
            snapshot=ground.name,
            backend=self.backend.name,
            platform=environment.target.platform,
            lock=packages.lock,
            identity=identity,
            layers=assembled.layers,
            placement=Placement(placed.place, placed.digest, placed.size, placed.reference),
            interpreter=environment.interpreter or (provided.interpreter if provided else None),
            prefix=target.prefix if target is not None else None,
            name=environment.name,
            notes=packages.configuration.notes if packages.configuration else (),
            log=self._log,
            under=self.order.under,
            locked_as=Locked(packages.lock, asked(identity)).name if packages.lock is not None else "",
            stale=packages.stale,
            base_layers=len(ground.base.layers),
            below=len(ground.snapshot.layers),
        )
        return Draft(made, packages.asked, believed, self._newest)


def made_and_reused(layers: tuple[Layer, ...]) -> str:
    """``1 layer made, 54 reused``."""
    made = sum(layer.made for layer in layers)
    return f"{made} layer{'' if made == 1 else 's'} made, {len(layers) - made} reused"


def _words(exc: BaseException) -> str:
    return str(exc) if isinstance(exc, CooperyError) else f"{type(exc).__name__}: {exc}"
