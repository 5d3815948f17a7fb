"""The cache folder: where everything that Coopery keeps on this machine lives, and the one door to each path.

images/       an OCI image layout; its ``blobs/`` is the one store of layers, configs and manifests
layers/       layer identity → blob               snapshots/  step key → config and layers
packages/     packages as fetched                 repodata/   channel indexes
wheels/       wheels unpacked
debian/       Debian's packages and indexes       bytecode/   compiled modules, by source and Python version
interpreters/ Pythons that compile                rootfs/     images unpacked for ``run``
running/      what runs now write                 logs/       one folder per key
pins/         what `gc` must keep                 active/     who builds now
staging/      half-made things                    records.sqlite, records-leases.sqlite
CACHEDIR.TAG  says to `gc`, and to programs that make backups, what this folder is
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from attrs import frozen

from coopery import private
from coopery.blobs import BlobStore, disk_error

TAG: Final = "CACHEDIR.TAG"
SIGNATURE: Final = b"Signature: 8a477f597d28d172789f06886806bc55\n# This is Coopery's cache folder.\n"
"""Source: Cache Directory Tagging Specification 0.6, bford.info/cachedir."""

_BEFORE_BUILDS: Final = frozenset({"records.sqlite", "records-leases.sqlite", "logs", "staging"})
"""What may be here before the first build, and says nothing about whose folder it is."""


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
            self._sign()
        except OSError as exc:
            raise disk_error(exc) from exc

    @property
    def pins(self) -> Path:
        """What `gc` must keep, one file for each pin."""
        return self.root / "pins"

    @property
    def signed(self) -> bool:
        """Whether this folder says of itself that it is ours. In one that does not, nothing is ever collected."""
        try:
            with open(self.root / TAG, "rb") as file:
                return file.read(len(SIGNATURE) + 1) == SIGNATURE
        except OSError:
            return False

    def _sign(self) -> None:
        """Say whose folder this is, if nothing was in it before us: in a folder of other things we delete nothing."""
        if self.signed or not _BEFORE_BUILDS.issuperset(os.listdir(self.root)):
            return
        path = self.root / TAG
        private.make_file(path)
        with open(os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "wb") as file:
            file.write(SIGNATURE)
