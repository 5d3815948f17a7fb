"""The backend for Apptainer and Singularity: declares what it can do, and delegates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from coopery.backend import Abilities, Examination, Placed, Snapshot, Workshop
from coopery.definition import RunStep
from coopery.shelf import Shelf
from coopery_singularity.apptainer import NAME
from coopery_singularity.place import FOLDER, Note, SifPlace

if TYPE_CHECKING:  # what is imported here is imported by every hit on any engine, so the rest waits until it is used
    from coopery.files import Files
    from coopery.image import Assembled
    from coopery.layer import Layer
    from coopery.place import RunRequest
    from coopery.sealed import SealedBase, SealedStep
    from coopery.snapshots.on_host import OnHost


class SingularityBackend:
    """Bases and copied files on the host, ``run:`` steps under Apptainer's fakeroot, images as SIF files."""

    name: ClassVar[str] = NAME
    abilities: ClassVar[Abilities] = Abilities(run=True, registry=True, secrets=True, network=True, gpu=True)
    exports: ClassVar[tuple[str, ...]] = ("sif", "squashfs")
    """Forms that `export` writes; core asks for them by these names."""

    shelves: ClassVar[tuple[Shelf, ...]] = (
        Shelf(FOLDER, "SIF files", "image"),
        Shelf("squashfs", "file systems for steps"),
    )

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    @cached_property
    def _host(self) -> OnHost:
        from coopery.snapshots.on_host import OnHost

        return OnHost(self._workshop, self.name)

    @property
    def place(self) -> SifPlace:
        """The folder of SIF files in the cache folder."""
        return SifPlace(self._workshop.home, run=self._run)

    def _run(self, path: Path, note: Note, request: RunRequest) -> int:
        from coopery_singularity.run import run  # a build does without it

        return run(self._workshop, path, note, request)

    def fetch_base(self, base: SealedBase, platform: str) -> Snapshot:
        """See `coopery.backend.Backend.fetch_base`."""
        return self._host.fetch_base(base, platform)

    def find_snapshot(self, name: str) -> Snapshot | None:
        """See `coopery.backend.Backend.find_snapshot`."""
        return self._host.find_snapshot(name)

    def identity(self, step: SealedStep) -> Mapping[str, Any]:
        """See `coopery.backend.Backend.identity`."""
        if not isinstance(step.step, RunStep):
            return self._host.identity(step)
        from coopery.snapshots import running

        return running.identity(step)

    def run_step(self, base: Snapshot, step: SealedStep, name: str) -> Snapshot:
        """See `coopery.backend.Backend.run_step`."""
        if not isinstance(step.step, RunStep):
            return self._host.run_step(base, step, name)
        from coopery_singularity.steps import run_step

        return self._host.keep(run_step(self._workshop, base, step), name)

    def files(self, snapshot: Snapshot) -> Files:
        """See `coopery.backend.Backend.files`."""
        return self._host.files(snapshot)

    def materialize(self, snapshot: Snapshot, image: Assembled, new: Sequence[Layer], tag: str) -> Placed:  # noqa: ARG002 - the protocol's: a SIF is made of all layers
        """See `coopery.backend.Backend.materialize`."""
        from coopery_singularity.materialize import materialize

        return materialize(self._workshop, self.place, image, tag)

    def export(self, form: str, image: Assembled, prefix: str, path: Path) -> None:
        """Write *image* to *path*: as a SIF, or its *prefix* alone as a squashfs."""
        from coopery_singularity.export import export

        export(self._workshop, form, image, prefix, path)

    def examine(self) -> Examination:
        """See `coopery.backend.Backend.examine`: an image of one tiny program is made and run."""
        from coopery_singularity.examine import examine

        return examine(self._workshop)

    def run_snapshot(self, snapshot: Snapshot, request: RunRequest) -> int:
        """See `coopery.backend.Backend.run_snapshot`."""
        from coopery_singularity.run import run_snapshot

        return run_snapshot(self._workshop, snapshot, request)
