"""The engine-free backend, and Coopery's default: declares what it can do, and delegates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from coopery.backend import Abilities, Placed, Snapshot, Workshop
from coopery.home import Home
from coopery.oci.layers_view import LayersFiles
from coopery.oci.layout import Layout
from coopery.places.layout import LayoutPlace
from coopery_oci import base as _base
from coopery_oci import materialize as _materialize
from coopery_oci import snapshots, steps

if TYPE_CHECKING:
    from coopery.digest import Digest
    from coopery.files import Files
    from coopery.image import Assembled
    from coopery.layer import Layer
    from coopery.place import RunRequest
    from coopery.sealed import SealedBase, SealedStep

NAME: Final = "oci"


class OciBackend:
    """Bases from this machine or from base sources, steps that execute nothing, images in an OCI layout."""

    name: ClassVar[str] = NAME
    abilities: ClassVar[Abilities] = Abilities()

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._home = Home(workshop.home)

    @property
    def place(self) -> LayoutPlace:
        """The layout in the cache folder."""
        return LayoutPlace(self._workshop.home, run=self._run)

    def _run(self, digest: Digest, request: RunRequest) -> int:
        from coopery_oci.run import run  # a build does without it

        return run(self._workshop, digest, request)

    def fetch_base(self, base: SealedBase, platform: str) -> Snapshot:
        """See `coopery.backend.Backend.fetch_base`."""
        return _base.fetch(self._workshop, base, platform, self.name)

    def find_snapshot(self, name: str) -> Snapshot | None:
        """See `coopery.backend.Backend.find_snapshot`."""
        return snapshots.load(self._workshop, name, self.name)

    def identity(self, step: SealedStep) -> Mapping[str, Any]:
        """See `coopery.backend.Backend.identity`."""
        return steps.identity(step)

    def run_step(self, base: Snapshot, step: SealedStep, name: str) -> Snapshot:
        """See `coopery.backend.Backend.run_step`."""
        snapshot = steps.run_step(self._workshop, self.files(base), base, step)
        snapshots.save(self._workshop, snapshot, name)
        return snapshot

    def files(self, snapshot: Snapshot) -> Files:
        """See `coopery.backend.Backend.files`."""
        return LayersFiles(snapshot.layers, self._workshop.blobs)

    def materialize(self, snapshot: Snapshot, image: Assembled, new: Sequence[Layer], tag: str) -> Placed:  # noqa: ARG002 - the protocol's: other engines have the snapshot already
        """See `coopery.backend.Backend.materialize`."""
        layout = Layout(self._home.images, self._workshop.staging)
        return _materialize.materialize(layout, str(self._home.images), image, tag)
