"""The backend: declares what it can do, and delegates. What needs no engine is core's, by `OnHost`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from coopery.backend import Abilities, Examination, Placed, Snapshot, Workshop
from coopery.definition import RunStep
from coopery.image import Assembled
from coopery.shelf import Shelf
from coopery.snapshots import running
from coopery.snapshots.on_host import OnHost
from coopery_unshare import steps
from coopery_unshare.place import FolderPlace

if TYPE_CHECKING:
    from coopery.files import Files
    from coopery.layer import Layer
    from coopery.place import RunRequest
    from coopery.sealed import SealedBase, SealedStep

NAME: Final = "unshare"


class UnshareBackend:
    """Steps on overlayfs in namespaces of their own; images are unpacked folders."""

    name: ClassVar[str] = NAME
    abilities: ClassVar[Abilities] = Abilities(run=True, registry=True, secrets=True, network=True)
    shelves: ClassVar[tuple[Shelf, ...]] = (Shelf("unshare", "unpacked images", "image"),)

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._host = OnHost(workshop, NAME)

    @property
    def place(self) -> FolderPlace:
        """Folders below the cache folder."""
        return FolderPlace(self._workshop)

    def fetch_base(self, base: SealedBase, platform: str) -> Snapshot:
        """See `coopery.backend.Backend.fetch_base`."""
        return self._host.fetch_base(base, platform)

    def find_snapshot(self, name: str) -> Snapshot | None:
        """See `coopery.backend.Backend.find_snapshot`."""
        return self._host.find_snapshot(name)

    def identity(self, step: SealedStep) -> Mapping[str, Any]:
        """See `coopery.backend.Backend.identity`."""
        return running.identity(step) if isinstance(step.step, RunStep) else self._host.identity(step)

    def run_step(self, base: Snapshot, step: SealedStep, name: str) -> Snapshot:
        """See `coopery.backend.Backend.run_step`."""
        if not isinstance(step.step, RunStep):
            return self._host.run_step(base, step, name)
        layer = steps.run(self._workshop, base, step, self.files(base))
        return self._host.keep(running.after(base, step, layer), name)

    def files(self, snapshot: Snapshot) -> Files:
        """See `coopery.backend.Backend.files`."""
        return self._host.files(snapshot)

    def materialize(self, snapshot: Snapshot, image: Assembled, new: Sequence[Layer], tag: str) -> Placed:  # noqa: ARG002 - an engine that has the snapshot takes only *new*; and a folder goes by its image's id
        """See `coopery.backend.Backend.materialize`."""
        return self.place.put(image)

    def examine(self) -> Examination:
        """See `coopery.backend.Backend.examine`."""
        program = shutil.which("unshare")
        if program is None:
            remedy = "install util-linux"
            return Examination(found=False, works=False, problem="there is no program unshare", remedy=remedy)
        if os.geteuid() != 0:
            remedy = "run as root"
            return Examination(found=True, works=False, problem="only root may mount an overlay", remedy=remedy)
        return Examination(found=True, works=True, details=(program,))

    def run_snapshot(self, snapshot: Snapshot, request: RunRequest) -> int:
        """See `coopery.backend.Backend.run_snapshot`."""
        return self.place.run_image(Assembled(snapshot.config, snapshot.layers), request)
