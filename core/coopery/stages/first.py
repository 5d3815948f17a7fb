"""Stage 1: the base, then the steps one by one, each with its own key. Ends in a snapshot and its facts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from attrs import evolve, frozen

from coopery import facts as _facts
from coopery import key as _key
from coopery.backend import Backend, Snapshot, Workshop
from coopery.errors import StepFailed
from coopery.events import Emit, Progress, StageFinished, StageStarted
from coopery.sealed import Sealed, SealedStep
from coopery.target import Facts


@frozen
class Ground:
    """What stage 2 builds upon.

    Attributes:
        base: the base as fetched.
        snapshot: after the last step.
        name: step key of that snapshot; what its backend keeps it under.
        facts: of the snapshot.
    """

    base: Snapshot
    snapshot: Snapshot
    name: str
    facts: Facts


OnFailure = Callable[[Snapshot, str, StepFailed], object]
"""Told of a step that failed: the snapshot below it, that snapshot's step key, and the error."""


def lay(
    sealed: Sealed, backend: Backend, emit: Emit, key: str, *, fresh: bool, on_failure: OnFailure | None = None
) -> Ground:
    """Fetch the base and run the steps, each found again where its key is known, unless *fresh*.

    Raises:
        BaseError, StepFailed, BackendError: as the backend's verbs do.
    """
    if fresh:
        sealed = evolve(sealed, base=evolve(sealed.base, fresh=True))
    base = _fetch(sealed, backend, emit, key)
    names = step_keys(backend, sealed.environment.target.platform, base, sealed.steps)
    snapshot = _run_all(base, sealed.steps, names, backend, emit, key, fresh=fresh, on_failure=on_failure)
    return Ground(base, snapshot, names[-1], read_facts(backend, snapshot, sealed.environment.prefix))


def step_keys(backend: Backend, platform: str, base: Snapshot, steps: Sequence[SealedStep]) -> tuple[str, ...]:
    """The key of the base's snapshot and then of the snapshot after each step."""
    keys = [_key.step_key(backend.name, platform, {"base": base.digest}, "")]
    for step in steps:
        keys.append(_key.step_key(backend.name, platform, dict(backend.identity(step)), keys[-1]))
    return tuple(keys)


def read_facts(backend: Backend, snapshot: Snapshot, prefix: str) -> Facts:
    """Facts of *snapshot*, read from its files and config; nothing is executed."""
    return _facts.read_facts(backend.files(snapshot), snapshot.config, prefix)


def offer_python(ground: Ground, backend: Backend, workshop: Workshop) -> None:
    """Let the base's own Python compile modules for its version, where no nearer one does. Cheap: nothing is read."""
    from coopery.bytecode import base

    if ground.facts.python_release is not None:
        closure = base.closure(lambda: backend.files(ground.snapshot), ground.facts, ground.snapshot.digest)
        workshop.compilers.offer(ground.facts.python_release, closure)


def _fetch(sealed: Sealed, backend: Backend, emit: Emit, key: str) -> Snapshot:
    started = time.monotonic()
    emit(StageStarted(key=key, stage="base", detail=type(sealed.base.base).__name__.removesuffix("Base").lower()))
    base = backend.fetch_base(sealed.base, sealed.environment.target.platform)
    detail = f"{len(base.layers)} layers, {sum(layer.size for layer in base.layers) / 1e6:.1f} MB"
    emit(StageFinished(key=key, stage="base", seconds=time.monotonic() - started, detail=detail))
    return base


def _run_all(
    base: Snapshot,
    steps: Sequence[SealedStep],
    names: Sequence[str],
    backend: Backend,
    emit: Emit,
    key: str,
    *,
    fresh: bool,
    on_failure: OnFailure | None,
) -> Snapshot:
    """*names* are those of `step_keys`."""
    if not steps:
        return base
    started = time.monotonic()
    emit(StageStarted(key=key, stage="steps", detail=f"{len(steps)} step{'' if len(steps) == 1 else 's'}"))
    snapshot, ran = base, 0
    for done, (step, name) in enumerate(zip(steps, names[1:], strict=True), start=1):
        known = None if fresh else backend.find_snapshot(name)
        ran += known is None
        try:
            snapshot = known or backend.run_step(snapshot, step, name)
        except StepFailed as exc:
            if on_failure is not None:
                on_failure(snapshot, names[done - 1], exc)
            raise
        emit(Progress(key=key, stage="steps", done=done, total=len(steps), unit="steps", item=step.field_path))
    detail = f"{ran} run, {len(steps) - ran} reused"
    emit(StageFinished(key=key, stage="steps", seconds=time.monotonic() - started, detail=detail))
    return snapshot
