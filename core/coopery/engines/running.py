"""Running processes: in an image, on the backend that has it and can; on the snapshot below a step that failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from attrs import evolve

from coopery import logs
from coopery.definition import Environment
from coopery.engines import choose, failed_step
from coopery.errors import NotFound
from coopery.events import Output
from coopery.ledger import only
from coopery.snapshots import kept

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.engines.needs import Need
    from coopery.image import Image
    from coopery.place import RunRequest

SHELL: Final = (
    "/bin/sh",
    "-c",
    'for shell in bash ash sh; do command -v "$shell" >/dev/null 2>&1 && exec "$shell"; done',
)
"""The best shell that an image has; where it has none, the engine says that ``/bin/sh`` is not there."""


def run(builder: Builder, ref: Environment | str, request: RunRequest) -> int:
    """See `coopery.build.Builder.run`."""
    if isinstance(ref, Environment):
        runtime = ref.runtime
        env = {**dict(runtime.env), **request.env}
        request = evolve(request, env=env, workdir=request.workdir or runtime.workdir)
    able = _able(builder, ref, request)
    image = able.image(ref) if isinstance(ref, str) else able.build(ref)
    keeper, image = _keeper(able, image)
    return keeper.backend(builder.emit).place.run(image.digest, request)


def debug(builder: Builder, key: str, request: RunRequest) -> int:
    """See `coopery.build.Builder.debug`."""
    failed = failed_step.load(builder.home, key)
    if failed is None:
        raise NotFound(
            f"no step of the newest build of key {key} failed here", remedy="coopery logs shows what did go wrong"
        )
    owner = builder if builder.named else builder.at(failed.backend)
    snapshot = kept.load(owner.workshop(builder.emit), failed.snapshot, owner.backend_name)
    if snapshot is None:
        raise NotFound(
            f"the snapshot below {failed.step} of key {key} is no longer kept", remedy="build the definition again"
        )
    told = f"{failed.step} ended with {failed.status}: {failed.words}"
    builder.emit(Output(key=key, stage="image", line=told))
    builder.emit(Output(key=key, stage="image", line="this is what it ran on; nothing that is changed here is kept"))
    return owner.backend(builder.emit).run_snapshot(snapshot, evolve(request, argv=request.argv or SHELL))


def failed_key(builder: Builder, ref: str) -> str:
    """The key that begins with *ref* and has a build log: one whose build failed has nothing else.

    Raises:
        NotFound, UsageError: there is none, or there are several.
    """
    return only(ref, logs.keys(builder.home.root, ref))


def _able(builder: Builder, ref: Environment | str, request: RunRequest) -> Builder:
    """*builder*, or one on a backend that has what *request* needs."""
    if builder.named or not request.gpu:
        return builder
    also: Sequence[Need] = (("gpu", "run --gpus"),)
    if isinstance(ref, Environment):
        return builder.serving(ref, None, also)
    if ref.startswith("oci:"):
        return choose.pick(builder, also)
    known = builder.ledger.newest(builder.find(ref))
    return choose.pick(builder, also, known.platform if known is not None else "", known)


def _keeper(builder: Builder, image: Image) -> tuple[Builder, Image]:
    """Who runs *image*, and as what: its own place's backend, unless another was named."""
    if image.place == builder.place.name:
        return builder, image
    if not builder.home.writable and image.place == builder.aside.place.name:
        return builder.aside, image
    if not builder.named:
        return choose.at_place(builder, image.place), image
    from coopery.engines.transfer import copy_into

    return builder, copy_into(builder, image)
