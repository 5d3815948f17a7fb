"""The cache folder: where everything that Coopery keeps on this machine lives, and the one door to each path.

images/       an OCI image layout; its ``blobs/`` is the one store of layers, configs and manifests
layers/       layer identity → blob               snapshots/  step key → config and layers
packages/     packages as fetched                 repodata/   channel indexes
debian/       Debian's packages and indexes       bytecode/   compiled modules, by source and Python version
interpreters/ Pythons that compile                rootfs/     images unpacked for ``run``
running/      what runs now write                 logs/       one folder per key
staging/      half-made things                    records.sqlite, records-leases.sqlite
"""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from coopery import private
from coopery.blobs import BlobStore, disk_error


@frozen
class Home:
    """One cache folder. Nothing is created before `make` is called."""

    root: Path

    @property
    def staging(self) -> Path:
        """For half-made things, on the same file system as everything else."""
        return self.root / "staging"

    @property
    def images(self) -> Path:
        """The OCI image layout that images are put into."""
        return self.root / "images"

    @property
    def layers(self) -> Path:
        """The index from layer identity to blob."""
        return self.root / "layers"

    @property
    def blobs(self) -> BlobStore:
        """The blobs of the layout, shared by all builds."""
        return BlobStore(self.images / "blobs", self.staging)

    def make(self) -> None:
        """Create the folder, private to its owner, if it is not there.

        Raises:
            CacheError: it cannot be created or written, or others could have a hand in it.
        """
        try:
            private.make_folder(self.root)
            private.check_folder(self.root)
            self.staging.mkdir(exist_ok=True)
        except OSError as exc:
            raise disk_error(exc) from exc
