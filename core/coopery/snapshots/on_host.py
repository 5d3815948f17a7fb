"""Stage 1 as every backend does it, but for what needs an engine: a backend holds one of these and delegates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import frozen

from coopery.oci.layers_view import LayersFiles
from coopery.snapshots import base as _base
from coopery.snapshots import kept, steps

if TYPE_CHECKING:
    from coopery.backend import Snapshot, Workshop
    from coopery.files import Files
    from coopery.sealed import SealedBase, SealedStep


@frozen
class OnHost:
    """Bases, copied files, config: all that is made on the host, equal on every engine.

    Attributes:
        workshop: what core lends.
        backend: name of the backend that it serves.
    """

    workshop: Workshop
    backend: str

    def fetch_base(self, base: SealedBase, platform: str) -> Snapshot:
        """An image from a registry, layout or archive, a root file system, Debian packages; see the protocol."""
        return _base.fetch(self.workshop, base, platform, self.backend)

    def find_snapshot(self, name: str) -> Snapshot | None:
        """The snapshot kept under *name*, if it is whole and all its blobs are here."""
        return kept.load(self.workshop, name, self.backend)

    def keep(self, snapshot: Snapshot, name: str) -> Snapshot:
        """Keep *snapshot* under *name*; returns it.

        Raises:
            CacheError: the disk refused.
        """
        kept.save(self.workshop, snapshot, name)
        return snapshot

    def identity(self, step: SealedStep) -> Mapping[str, Any]:
        """All that can change the result of a step other than ``run:``. Pure.

        Raises:
            UnsupportedError: a ``run:`` step.
        """
        return steps.identity(step, self.backend)

    def run_step(self, base: Snapshot, step: SealedStep, name: str) -> Snapshot:
        """*base* after a step other than ``run:``, kept under *name*.

        Raises:
            UnsupportedError: a ``run:`` step.
            IntegrityError: what is copied changed since the key was made.
            StepError: the image has something in the way, or lacks the user.
        """
        return self.keep(steps.run_step(self.workshop, self.files(base), base, step), name)

    def files(self, snapshot: Snapshot) -> Files:
        """Sight of the snapshot's files, through its layers."""
        return LayersFiles(snapshot.layers, self.workshop.blobs)
