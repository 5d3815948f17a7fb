"""Working containers: made for one step, named after the process that made them, gone afterwards.

A container's name says who made it: boot, process namespace, process and when that began. One whose maker is gone was
left behind by a process that was killed, and is removed by the next one (`sweep`).
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from coopery import processes
from coopery.digest import hex_of
from coopery.errors import BackendError
from coopery.image import Assembled, encode
from coopery_podman import buildah, runtimes, tidy
from coopery_podman.layouts import layout_of, tag_of
from coopery_podman.storage import LookError, locate

if TYPE_CHECKING:
    from coopery.backend import Snapshot, Workshop
    from coopery_podman.buildah import Buildah

STEP_IMAGE: Final = "coopery/step"
"""What images that steps run on are called in the storage, until a build is done with them."""

_OURS: Final = re.compile(r"coopery-(?P<where>[0-9a-f]{8}-\d+)-(?P<pid>\d+)-(?P<began>\d+)-[0-9a-f]{8}")


@contextmanager
def container(workshop: Workshop, tool: Buildah, snapshot: Snapshot) -> Iterator[str]:
    """The name of a working container on *snapshot*. It is removed afterwards, whatever happens.

    Raises:
        BackendError: buildah failed.
    """
    name = f"coopery-{_where()}-{os.getpid()}-{processes.began(os.getpid()) or 0}-{secrets.token_hex(4)}"
    try:
        image = Assembled(_bare(snapshot.config), snapshot.layers)
        with layout_of(workshop, image, STEP_IMAGE) as offered:
            tool.call(buildah.from_(offered.reference, name=name), cwd=offered.folder)
        scratch_of(workshop, name).mkdir()
        yield name
    finally:
        with suppress(BackendError):  # it was never made; or it stays until the next sweep, which says so
            tool.call(buildah.rm(name))
        tidy.remove(scratch_of(workshop, name))


def scratch_of(workshop: Workshop, name: str) -> Path:
    """Where buildah has its temporary files while something runs in the container *name*: by it, states are found."""
    return workshop.staging / name


def loaded(workshop: Workshop, tool: Buildah, snapshot: Snapshot) -> str:
    """Have the storage keep *snapshot*, with its config; returns its id. `drop_step_images` lets go of it."""
    image = Assembled(snapshot.config, snapshot.layers)
    with layout_of(workshop, image, STEP_IMAGE) as offered:
        tool.call(buildah.pull(offered.reference), cwd=offered.folder)
    return hex_of(image.image_id)


def sweep(workshop: Workshop, tool: Buildah) -> tuple[str, ...]:
    """Remove what processes that were killed left behind; returns the containers' names.

    Raises:
        BackendError: buildah failed.
    """
    left = tuple(name for name in _names(workshop, tool) if _is_left(name))
    if left:
        for name in left:
            runtimes.forget(scratch_of(workshop, name))
            tidy.remove(scratch_of(workshop, name))
        tool.call(buildah.rm(*left))
    return left


def drop_step_images(workshop: Workshop, tool: Buildah) -> None:
    """Forget the images that steps ran on: once the image that came of them is there, its layers are what matters.

    One that another process's step runs on stays, since a container uses it. All go by one program; where that fails,
    each that is left by its own.
    """
    images = _step_images(workshop, tool)
    if not images:
        return
    try:
        tool.call(buildah.rmi(*images))
    except BackendError:
        for image in _step_images(workshop, tool):
            with suppress(BackendError):
                tool.call(buildah.rmi(image))


def _step_images(workshop: Workshop, tool: Buildah) -> tuple[str, ...]:
    """Ids of the images that have no name but that of steps; none where the storage cannot be read."""
    try:
        records = locate(workshop, tool).images()
    except (LookError, BackendError):
        return ()
    ours = (one for one in records if _is_step_image(one.get("names") or (), one.get("names-history") or ()))
    return tuple(str(record["id"]) for record in ours)


def _bare(config: bytes) -> bytes:
    """*config* with nothing in it that acts on a step: what a base's VOLUME covers would be lost from the changes."""
    document = json.loads(config)
    kept = {name: document[name] for name in ("architecture", "os", "variant", "rootfs") if name in document}
    return encode({**kept, "config": {}})


def _is_step_image(names: object, history: object) -> bool:
    """Whether an image has no name but that of steps; older ones have lost it to newer ones."""
    repositories = {f"localhost/{STEP_IMAGE}", f"localhost/{tag_of(STEP_IMAGE)}"}

    def ours(listed: object) -> bool:
        return isinstance(listed, list | tuple) and all(str(name).rpartition(":")[0] in repositories for name in listed)

    return bool(history) and ours(names) and ours(history)


def _names(workshop: Workshop, tool: Buildah) -> list[str]:
    try:
        records = locate(workshop, tool).containers()
        return [str(name) for record in records for name in record.get("names") or ()]
    except LookError:
        listed = json.loads(tool.call(buildah.containers()) or "[]") or []
        return [str(entry.get("containername")) for entry in listed]


def _is_left(name: str) -> bool:
    found = _OURS.fullmatch(name)
    if found is None:
        return False
    here, there = _where().split("-"), found["where"].split("-")
    if there[0] != here[0]:
        return True  # the machine was started again since
    return there == here and processes.is_gone(int(found["pid"]), found["began"])


def _where() -> str:
    """This boot, and this process namespace: a process id means nothing in another."""
    return f"{processes.boot()[:8] or '0' * 8}-{processes.namespace()}"
