"""The Podman backend: declares what it can do, and delegates. Making it, and asking its place, start no program."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from coopery.backend import Abilities, Examination, Placed, Snapshot, Workshop
from coopery.definition import ContextBase, DockerfileBase, RunStep
from coopery.shelf import Shelf
from coopery_podman.place import NAME, PodmanPlace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from coopery.files import Files
    from coopery.image import Assembled
    from coopery.layer import Layer
    from coopery.place import RunRequest
    from coopery.sealed import SealedBase, SealedStep
    from coopery.snapshots.on_host import OnHost
    from coopery_podman.buildah import Buildah


class PodmanBackend:
    """Steps and Dockerfiles by buildah, images in containers-storage, run by podman; as root or as an ordinary user.

    Which storage: the engine's own configuration says it (containers-storage.conf(5), ``CONTAINERS_STORAGE_CONF``).
    """

    name: ClassVar[str] = NAME
    abilities: ClassVar[Abilities] = Abilities(
        run=True, dockerfile=True, registry=True, secrets=True, network=True, gpu=True
    )
    shelves: ClassVar[tuple[Shelf, ...]] = (Shelf("podman", "findings about podman", names=r"[a-z]+\.json"),)

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    @cached_property
    def _tool(self) -> Buildah:
        from coopery_podman.buildah import Buildah  # a hit does without it

        return Buildah(backend=self.name)

    @cached_property
    def _host(self) -> OnHost:
        from coopery.snapshots.on_host import OnHost  # a hit does without it

        return OnHost(self._workshop, self.name)

    @property
    def place(self) -> PodmanPlace:
        """The containers-storage that podman and buildah share."""
        return PodmanPlace(self._workshop)

    def fetch_base(self, base: SealedBase, platform: str) -> Snapshot:
        """See `coopery.backend.Backend.fetch_base`. Only Dockerfiles and contexts need the engine."""
        if isinstance(base.base, DockerfileBase | ContextBase):
            from coopery_podman import dockerfile

            return dockerfile.fetch(self._workshop, self._tool, base, platform)
        return self._host.fetch_base(base, platform)

    def find_snapshot(self, name: str) -> Snapshot | None:
        """See `coopery.backend.Backend.find_snapshot`."""
        return self._host.find_snapshot(name)

    def identity(self, step: SealedStep) -> Mapping[str, Any]:
        """See `coopery.backend.Backend.identity`."""
        if isinstance(step.step, RunStep):
            from coopery.snapshots import running

            return running.identity(step)
        return self._host.identity(step)

    def run_step(self, base: Snapshot, step: SealedStep, name: str) -> Snapshot:
        """See `coopery.backend.Backend.run_step`. Only ``run:`` needs the engine."""
        if not isinstance(step.step, RunStep):
            return self._host.run_step(base, step, name)
        from coopery.snapshots.users import telling
        from coopery_podman import steps

        files = self._host.files(base)
        with telling(lambda: files, base, step.field_path):
            made = steps.run_step(self._workshop, self._tool, base, files, step)
        return self._host.keep(made, name)

    def files(self, snapshot: Snapshot) -> Files:
        """See `coopery.backend.Backend.files`."""
        return self._host.files(snapshot)

    def materialize(self, snapshot: Snapshot, image: Assembled, new: Sequence[Layer], tag: str) -> Placed:  # noqa: ARG002 - the image says it all
        """See `coopery.backend.Backend.materialize`."""
        from coopery_podman.containers import drop_step_images
        from coopery_podman.materialize import materialize

        placed = materialize(self._workshop, self._tool, image, tag)
        drop_step_images(self._workshop, self._tool)
        return placed

    def examine(self) -> Examination:
        """See `coopery.backend.Backend.examine`."""
        from coopery_podman.examine import examine

        return examine(self._workshop, self._tool)

    def run_snapshot(self, snapshot: Snapshot, request: RunRequest) -> int:
        """See `coopery.backend.Backend.run_snapshot`."""
        from coopery_podman.containers import drop_step_images, loaded
        from coopery_podman.run import run

        try:
            return run(self._workshop, loaded(self._workshop, self._tool, snapshot), request)
        finally:
            drop_step_images(self._workshop, self._tool)
