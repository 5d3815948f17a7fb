"""What a build would do, in words, from records alone: nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from coopery.definition import CopyStep, EnvStep, RunStep, Step, UserStep, WorkdirStep
from coopery.digest import short
from coopery.preflight import sections

if TYPE_CHECKING:
    from coopery.image import Image
    from coopery.records import Resolution
    from coopery.sealed import Sealed


def stages(sealed: Sealed, known: Resolution | None, image: Image | None) -> tuple[str, ...]:
    """One line for each thing that a build would do."""
    if image is not None:
        return (f"nothing: the image is at {image.reference}",)
    return tuple(_stages(sealed, known))


def _stages(sealed: Sealed, known: Resolution | None) -> Iterator[str]:
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
