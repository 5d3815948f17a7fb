"""The cache folder: where everything that Coopery keeps on this machine lives, and the one door to each path.

images/       an OCI image layout; its ``blobs/`` is the one store of layers, configs and manifests
layers/       layer identity → blob               snapshots/  step key → config and layers
packages/     packages as fetched                 repodata/   channel indexes
wheels/       wheels unpacked
debian/       Debian's packages and indexes       bytecode/   compiled modules, by source and Python version
interpreters/ Pythons that compile                rootfs/     images unpacked for ``run``
running/      what runs now write                 logs/       one folder per key
pins/         what `gc` must keep                 active/     who builds now
members/      what is each member's own, in a group's folder
staging/      half-made things                    records.sqlite, records-leases.sqlite
name          tells this folder from others of its path
CACHEDIR.TAG  says to `gc`, and to programs that make backups, what this folder is

The folder is its owner's alone, or a group's (`coopery.private`). One that can only be read answers what is known;
what is new is made in another one, beside it (`Home.beside`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from attrs import frozen

from coopery import digest as _digest
from coopery import private, sharing
from coopery.blobs import BlobStore, disk_error

TAG: Final = "CACHEDIR.TAG"
SIGNATURE: Final = b"Signature: 8a477f597d28d172789f06886806bc55\n# This is Coopery's cache folder.\n"
"""Source: Cache Directory Tagging Specification 0.6, bford.info/cachedir."""

NAME: Final = "name"
"""A file with what this folder is called among machines (`coopery.flights.whereabouts`)."""

MEMBERS: Final = "members"
"""Folder below a group's cache folder: one folder for each member, which is his alone."""

_BEFORE_BUILDS: Final = frozenset({"records.sqlite", "records-leases.sqlite", "logs", "staging", private.GROUP})
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

    @property
    def writable(self) -> bool:
        """Whether anything can be made in the folder; where it is not there, that is seen when it is made."""
        return os.access(self.root, os.W_OK | os.X_OK) or not self.root.is_dir()

    @property
    def shared(self) -> bool:
        """Whether the folder is a group's."""
        return private.is_group_s(self.root)

    @property
    def beside(self) -> Home:
        """The cache folder of ours that stands in for this one where this cannot be written.

        It is below the folder for temporary files (``TMPDIR``), the same for every process of ours, and goes when that
        is emptied.

        Raises:
            CacheError: it cannot be made, or somebody else has made it.
        """
        import tempfile  # costs 5 ms, which a hit does not have

        ours = Path(tempfile.gettempdir(), f"coopery-{os.geteuid()}")
        try:
            private.make_folder(ours)
        except OSError as exc:
            raise disk_error(exc) from exc
        private.check_folder(ours)
        return Home(ours / _digest.of_bytes(os.fsencode(os.path.realpath(self.root)))[7:23])

    @property
    def own(self) -> Path:
        """Where this user keeps what others must not have a hand in, or cannot use: what he runs, and indexes.

        The folder itself, where it is private; in a group's ``members/<uid>``, made now if it is not there; beside one
        that cannot be written.

        Raises:
            CacheError: it cannot be made, or somebody else has made it.
        """
        if not self.writable:
            beside = self.beside
            beside.make()
            return beside.root
        return self._member() if self.shared else self.root

    def _member(self) -> Path:
        path = self.root / MEMBERS / str(os.geteuid())
        try:
            sharing.make_folders(path.parent)
            path.mkdir(mode=0o700, exist_ok=True)
        except OSError as exc:
            raise disk_error(exc) from exc
        private.check_folder(path)
        return path

    def make(self) -> None:
        """Create the folder, private to its owner, if it is not there.

        Raises:
            CacheError: it cannot be created or written, or others could have a hand in it.
        """
        try:
            private.make_folder(self.root)
            private.check_folder(self.root)
            if self.shared:
                private.check_inner_folders(self.root)
            sharing.make_folders(self.staging)
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

    @property
    def untouched(self) -> bool:
        """Whether nothing was built here yet: there may be a folder of ours that another process is just making."""
        return _BEFORE_BUILDS.issuperset(os.listdir(self.root))

    def _sign(self) -> None:
        """Say whose folder this is, if nothing was in it before us: in a folder of other things we delete nothing."""
        if self.signed or not self.untouched:
            return
        made = self.staging / f"{TAG}-{os.getpid()}-{os.urandom(4).hex()}"  # whole at once, also where we are killed
        private.make_new_file(made)
        made.write_bytes(SIGNATURE)
        made.replace(self.root / TAG)
