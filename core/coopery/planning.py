"""What a build would do, in words, from records alone: nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from coopery.definition import CopyStep, Environment, EnvStep, RunStep, Step, UserStep, WorkdirStep
from coopery.digest import short
from coopery.errors import PluginError, UsageError
from coopery.preflight import sections

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.building.order import Order
    from coopery.image import Image
    from coopery.records import Resolution
    from coopery.sealed import Sealed


def stages(
    sealed: Sealed, known: Resolution | None, image: Image | None, lock: str = "", brought: str = ""
) -> tuple[str, ...]:
    """One line for each thing that a build would do.

    Args:
        sealed: the definition.
        known: what is recorded of it.
        image: the image, where it is in the place already.
        lock: what a lock file in play means for it.
        brought: what `source` says; empty: it would be built.
    """
    first = [f"lock: {lock}"] if lock else []
    if image is not None:
        return (*first, f"nothing: the image is at {image.reference}")
    if brought:
        return (*first, f"image: {brought}, as it was built before")
    return tuple(_stages(sealed, known, lock))


def builds(builder: Builder, environment: Environment, known: Resolution | None) -> Builder | None:
    """Who would build *environment* for *builder*; None: nobody, but its image would be brought.

    Raises:
        PluginError, UsageError: nobody can, and nobody is recorded to have it. `coopery.building.once` refuses alike.
    """
    from coopery import preflight

    try:
        other = builder.serving(environment, builder.ledger.newest(known.key) if known is not None else None)
        if other is builder:
            preflight.check(environment, builder.backend_name, builder.plugins_loaded)
    except (PluginError, UsageError):
        if known is None or not builder.home.writable or not source(builder, known):
            raise
        return None
    return other


def source(builder: Builder, known: Resolution) -> str:
    """Where the image of *known* would be brought from, in words; empty: its bytes are nowhere to be had.

    What is on this machine is looked at; a registry is believed, since asking it is no part of a plan.
    """
    from coopery import pulling
    from coopery.engines import neighbours, transfer

    if transfer.here(builder, known) is not None:
        return f"from the cache folder into {builder.place.name}"
    placed = next(neighbours.folders(builder, known), None) or next(pulling.registries(builder, known), None)
    return "" if placed is None else f"from {placed.place}, which is recorded to have it, into {builder.place.name}"


def locks(builder: Builder, order: Order, known: Resolution | None) -> str:
    """What the lock file in play means for *order*; empty where there is none. Fetches nothing."""
    if order.held is None:
        return ""
    shown, reasons = order.held.shown, known.stale if known is not None else ()
    if known is None:
        from coopery.locks.fitting import status

        reasons = status(builder, order.sealed, order.held).reasons
    if not reasons:
        return f"the packages of {shown}"
    more = f" and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return f"{shown} does not answer the definition ({reasons[0]}{more}): resolved again, near to it"


def _stages(sealed: Sealed, known: Resolution | None, lock: str) -> Iterator[str]:
    environment = sealed.environment
    base = environment.base
    kind = type(base).__name__.removesuffix("Base").lower()
    content = f" {short(sealed.base.content)}" if sealed.base.content else ""
    yield f"base: fetch {kind}{content} for {environment.target.platform}"
    for index, sealed_step in enumerate(sealed.steps):
        yield f"steps: $.steps[{index}] {describe(sealed_step.step)}"
    packages = sections(environment)
    if not packages:
        yield "lock: nothing to resolve" + (": the user manages Python" if environment.user_managed else "")
    elif lock:
        yield f"lock: {lock}"
    elif known is not None and known.lock is not None:
        yield f"lock: {len(known.lock.artifacts)} packages as recorded in generation {known.generation}"
    else:
        yield f"lock: resolve {', '.join(packages)}"
    if packages:
        yield "layers: cut one for each package that has none yet"
    yield "image: assemble, verify, record"


def describe(step: Step) -> str:
    """*step* in a few words."""
    match step:
        case RunStep(run=str() as script):
            return f"run {script.strip().splitlines()[0][:60]!r}"
        case RunStep(run=argv):
            return f"run {' '.join(argv)[:60]!r}"
        case CopyStep(copy=source, to=to):
            return f"copy {source} to {to}"
        case EnvStep(env=env):
            return f"env {', '.join(name for name, _ in env)}"
        case WorkdirStep(workdir=path):
            return f"workdir {path}"
        case UserStep(user=user):
            return f"user {user}"
