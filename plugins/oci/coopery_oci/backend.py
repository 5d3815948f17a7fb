"""The engine-free backend, and Coopery's default: declares what it can do, and delegates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final

from coopery.backend import Abilities, Examination, Placed, Snapshot, Workshop
from coopery.home import Home
from coopery.shelf import Shelf

if TYPE_CHECKING:  # what is imported here is imported by every hit on any engine, so the rest waits until it is used
    from coopery.digest import Digest
    from coopery.files import Files
    from coopery.image import Assembled
    from coopery.layer import Layer
    from coopery.place import RunRequest
    from coopery.places.layout import LayoutPlace
    from coopery.sealed import SealedBase, SealedStep
    from coopery.snapshots.on_host import OnHost

NAME: Final = "oci"


class OciBackend:
    """Bases from this machine, registries or base sources, steps that execute nothing, images in an OCI layout."""

    name: ClassVar[str] = NAME
    abilities: ClassVar[Abilities] = Abilities(registry=True)
    shelves: ClassVar[tuple[Shelf, ...]] = (
        Shelf("rootfs", "unpacked images", "image", locked=True, own=True),
        Shelf("running", "runs", names=r"run-[a-z0-9_]{8}", passing=True, own=True),
    )

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._home = Home(workshop.home)

    @cached_property
    def _host(self) -> OnHost:
        from coopery.snapshots.on_host import OnHost

        return OnHost(self._workshop, self.name)

    @property
    def place(self) -> LayoutPlace:
        """The layout in the cache folder."""
        from coopery.places.layout import LayoutPlace

        return LayoutPlace(self._workshop.home, run=self._run)

    def _run(self, digest: Digest, request: RunRequest) -> int:
        from coopery_oci.run import run  # a build does without it

        return run(self._workshop, digest, request)

    def fetch_base(self, base: SealedBase, platform: str) -> Snapshot:
        """See `coopery.backend.Backend.fetch_base`."""
        return self._host.fetch_base(base, platform)

    def find_snapshot(self, name: str) -> Snapshot | None:
        """See `coopery.backend.Backend.find_snapshot`."""
        return self._host.find_snapshot(name)

    def identity(self, step: SealedStep) -> Mapping[str, Any]:
        """See `coopery.backend.Backend.identity`."""
        return self._host.identity(step)

    def run_step(self, base: Snapshot, step: SealedStep, name: str) -> Snapshot:
        """See `coopery.backend.Backend.run_step`."""
        return self._host.run_step(base, step, name)

    def files(self, snapshot: Snapshot) -> Files:
        """See `coopery.backend.Backend.files`."""
        return self._host.files(snapshot)

    def materialize(self, snapshot: Snapshot, image: Assembled, new: Sequence[Layer], tag: str) -> Placed:  # noqa: ARG002 - the protocol's: other engines have the snapshot already
        """See `coopery.backend.Backend.materialize`."""
        from coopery.oci.layout import Layout
        from coopery_oci import materialize as _materialize

        layout = Layout(self._home.images, self._workshop.staging)
        return _materialize.materialize(layout, str(self._home.images), image, tag)

    def examine(self) -> Examination:
        """It needs nothing to build; whether it can also run images depends on the machine."""
        from coopery_oci.ways import ways

        allowed = ", ".join(dict.fromkeys(way.name for way in ways()))
        return Examination(found=True, works=True, details=(f"runs images by {allowed}" if allowed else "builds only",))

    def run_snapshot(self, snapshot: Snapshot, request: RunRequest) -> int:
        """See `coopery.backend.Backend.run_snapshot`."""
        from coopery.image import Assembled
        from coopery_oci.run import run_image

        return run_image(self._workshop, Assembled(snapshot.config, snapshot.layers), request)
