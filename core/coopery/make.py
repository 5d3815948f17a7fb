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

from coopery import key as _key
from coopery import records, stage1, stage2
from coopery import target as _target
from coopery.assemble import assemble
from coopery.errors import BackendError, CacheError, CooperyError, ResolveError, UsageError
from coopery.events import (
    BuildFailed,
    BuildFinished,
    BuildStarted,
    Emit,
    Event,
    PackagesMoved,
    StageFinished,
    StageStarted,
    Warned,
)
from coopery.image import Image, Made
from coopery.ledger import image as as_image
from coopery.lock import Lock, moves
from coopery.logs import BuildLog
from coopery.place import Presence
from coopery.records import Placement, Resolution
from coopery.stage1 import Ground
from coopery.target import Resolved

if TYPE_CHECKING:
    from coopery.backend import Backend
    from coopery.build import Builder
    from coopery.flight import Guard
    from coopery.layer import Layer, Tree
    from coopery.materializer import Configuration
    from coopery.sealed import Sealed
    from coopery.target import Provided


@frozen
class _Packages:
    """What stage 2 made; empty when the user manages Python."""

    lock: Lock | None = None
    layers: tuple[Layer, ...] = ()
    configuration: Configuration | None = None
    provided: Provided | None = None


def make(builder: Builder, sealed: Sealed, key: str, guard: Guard, *, rebuild: bool) -> Image:
    """Build *sealed*, put the image into the builder's place, verify and record it.

    Raises:
        BuildError, CacheError, IntegrityError: what failed; the log is kept and named by the error.
    """
    started = time.monotonic()
    log = BuildLog.create(builder.home.root, key)
    clock: Counter[str] = Counter()

    def emit(event: Event) -> None:
        event = event if event.key else event.replace(key=key)  # plugins need not know which build they serve
        log(event)
        if isinstance(event, StageFinished):
            clock[event.stage] += event.seconds  # type: ignore[assignment]  # a Counter of seconds
        builder.emit(event)

    with log:
        emit(BuildStarted(key=key, name=sealed.environment.name, log=str(log.path)))
        try:
            job = _Job(builder, sealed, key, guard, emit, str(log.path))
            image = job.run(rebuild=rebuild)
        except BaseException as exc:
            if isinstance(exc, CooperyError):
                exc.log = str(log.path)
            _name_places(exc, sealed)
            emit(BuildFailed(key=key, message=_words(exc), log=str(log.path)))
            raise
        seconds = time.monotonic() - started
        emit(BuildFinished(key=key, reference=image.reference, image=image.id, seconds=seconds))
    return evolve(image, made=evolve(image.made, seconds=(*sorted(clock.items()), ("total", seconds))))


def _name_places(exc: BaseException, sealed: Sealed) -> None:
    """Say where in the file the requirements stand that cannot be had."""
    if not isinstance(exc, ResolveError):
        return
    places = [place for asked in exc.requirements if (place := sealed.environment.places(asked))]
    if places:
        listed = "\n".join(places)
        exc.message = f"{listed}: {exc.message}"


def resolve(builder: Builder, sealed: Sealed) -> Lock:
    """Lay the ground and resolve, without building.

    Raises:
        UsageError: there are no packages to lock.
    """
    from coopery import preflight

    environment = sealed.environment
    if not preflight.sections(environment):
        raise UsageError("the definition has no packages, so there is nothing to lock")
    preflight.check(environment, builder.backend_name, builder.plugins_loaded)
    builder.home.make()
    job = _Job(builder, sealed, _key.compute(sealed), None, builder.emit, "")
    ground = stage1.lay(sealed, job.backend, builder.emit, job.key, fresh=False)
    target = job.target(ground)
    stage2.check_prefix(ground.facts, environment.prefix)
    with job.bench() as bench:
        return bench.resolve(target)


class _Job:
    """One build in progress: the parts that every stage needs, held once."""

    def __init__(self, builder: Builder, sealed: Sealed, key: str, guard: Guard | None, emit: Emit, log: str) -> None:
        self.builder = builder
        self.sealed = sealed
        self.key = key
        self.emit = emit
        self.backend: Backend = builder.backend(emit)
        self._check: Callable[[], None] = guard.check if guard is not None else lambda: None
        self._log = log
        self._newest = 0  # generation of the newest record, even of one that does not read back

    def run(self, *, rebuild: bool) -> Image:
        """All stages, then the record."""
        record = self.builder.cache.get("resolution", self.key)
        before = records.resolution(record)
        self._newest = record.generation if record is not None else 0
        self._check()
        ground = stage1.lay(self.sealed, self.backend, self.emit, self.key, fresh=rebuild)
        self._check()
        packages = self._packages(ground, before, rebuild=rebuild)
        self._check()
        resolution = self._put(ground, packages, before, rebuild=rebuild)
        return self._record(resolution)

    def target(self, ground: Ground) -> Resolved:
        """What solvers are told."""
        environment = self.sealed.environment
        return _target.resolve(
            environment.target, ground.facts, ground.base.digest, environment.prefix, environment.build.bytecode
        )

    def bench(self) -> stage2.Bench:
        """The materializers that this definition needs."""
        workshop = self.builder.workshop(self.emit)
        classes = self.builder.plugins_loaded.materializers()
        return stage2.bench(self.sealed.environment, classes, lambda cls: cls(workshop), self.emit, self.key)

    def _packages(self, ground: Ground, before: Resolution | None, *, rebuild: bool) -> _Packages:
        with self.bench() as bench:
            if not bench.materializers:
                return _Packages()
            stage2.check_prefix(ground.facts, self.sealed.environment.prefix)
            target = self.target(ground)
            lock = self._lock(bench, target, before, rebuild=rebuild)
            started = time.monotonic()
            self.emit(StageStarted(key=self.key, stage="layers", detail=f"{len(lock.artifacts)} packages"))
            contents = bench.contents(lock, target)
            layers = self._layers(contents.trees, target, len(ground.snapshot.layers))
        seconds = time.monotonic() - started
        self.emit(StageFinished(key=self.key, stage="layers", seconds=seconds, detail=made_and_reused(layers)))
        for note in contents.configuration.notes:
            self.emit(Warned(key=self.key, message=note))
        return _Packages(lock, layers, contents.configuration, contents.provided)

    def _layers(self, trees: tuple[Tree, ...], target: Resolved, below: int) -> tuple[Layer, ...]:
        from coopery.layers.compose import compose
        from coopery.layers.store import LayerStore

        home = self.builder.home
        return compose(trees, target, LayerStore(home.layers, home.blobs, home.staging), below, self.emit)

    def _lock(self, bench: stage2.Bench, target: Resolved, before: Resolution | None, *, rebuild: bool) -> Lock:
        """The recorded lock while it still fits this base; a new one otherwise."""
        old = before.lock if before is not None else None
        if old is not None and not rebuild and old.base == target.base and dict(old.facts) == target.used():
            return old
        lock = bench.resolve(target, None if rebuild else old)
        if old is not None:
            lines = tuple(str(move) for move in moves(old, lock))
            self.emit(PackagesMoved(key=self.key, lines=lines))
        return lock

    def _put(self, ground: Ground, packages: _Packages, before: Resolution | None, *, rebuild: bool) -> Resolution:
        """Assemble, hand over to the place, and have the place confirm."""
        environment = self.sealed.environment
        started = time.monotonic()
        self.emit(StageStarted(key=self.key, stage="image"))
        target = self.target(ground) if packages.lock is not None else None
        assembled = assemble(ground.snapshot, packages.layers, packages.configuration, target)
        generation = self._newest + 1
        if before is not None and before.image == assembled.image_id and not rebuild:
            generation = before.generation  # the same image, put back where it was missing
        placed = self.backend.materialize(ground.snapshot, assembled, packages.layers, _tag(self.key, generation))
        if self.backend.place.exists(assembled.image_id, placed.digest) is not Presence.YES:
            raise BackendError(self.backend.name, f"{placed.place} does not have {assembled.image_id} after it was put")
        self.emit(StageFinished(key=self.key, stage="image", seconds=time.monotonic() - started))
        provided = packages.provided
        return Resolution(
            key=self.key,
            generation=generation,
            image=assembled.image_id,
            base=ground.base.digest,
            snapshot=ground.name,
            backend=self.backend.name,
            platform=environment.target.platform,
            lock=packages.lock,
            identity=_key.identity(self.sealed),
            layers=assembled.layers,
            placement=Placement(placed.place, placed.digest, placed.size, placed.reference),
            interpreter=environment.interpreter or (provided.interpreter if provided else None),
            prefix=target.prefix if target is not None else None,
            name=environment.name,
            notes=packages.configuration.notes if packages.configuration else (),
            log=self._log,
        )

    def _record(self, made: Resolution) -> Image:
        cached = True
        winner = made
        try:
            winner = self._write(made)
        except CacheError as exc:
            cached = False
            self.emit(Warned(key=self.key, message=f"the image is made, but could not be recorded: {exc.message}"))
        counts = Counter(layer.made for layer in made.layers)
        return evolve(
            as_image(winner, winner.placement),
            hit=False,
            made=Made(layers_made=counts[True], layers_reused=counts[False]),
            cached=cached,
        )

    def _write(self, made: Resolution) -> Resolution:
        """Record *made*; returns what is recorded, which is the winner's when somebody was faster."""
        cache = self.builder.cache
        winner = made
        if made.generation != self._newest:
            winner = records.resolution(cache.put(made.to_record(), self._newest)) or made
        name = records.placement_name(made.image, made.placement.place)
        old = cache.get("placement", name)
        generation = old.generation if old is not None else 0
        cache.put(records.placement_record(made.image, made.placement, generation + 1), generation)
        return winner


def made_and_reused(layers: tuple[Layer, ...]) -> str:
    """``1 layer made, 54 reused``."""
    made = sum(layer.made for layer in layers)
    return f"{made} layer{'' if made == 1 else 's'} made, {len(layers) - made} reused"


def _tag(key: str, generation: int) -> str:
    """The tag in a layout: from the key, so that equal definitions meet; generations beside each other."""
    return key[:20] if generation == 1 else f"{key[:20]}-g{generation}"


def _words(exc: BaseException) -> str:
    return str(exc) if isinstance(exc, CooperyError) else f"{type(exc).__name__}: {exc}"
