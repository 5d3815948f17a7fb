"""The layout in the cache folder, as a place. Asking it takes one manifest and some stats, and imports no plugin."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from coopery import digest as _digest
from coopery import sharing, use
from coopery.digest import Digest
from coopery.errors import UnsupportedError
from coopery.home import Home
from coopery.oci.complete import complete
from coopery.place import Presence, RunRequest

Run = Callable[[Digest, RunRequest], int]
"""Runs a process in the image with that manifest digest; returns its exit status."""


class LayoutPlace:
    """Images in ``images/`` below a cache folder.

    Args:
        home: the cache folder.
        run: how to run a process in one of them; a backend brings it. Without it the place only keeps.
    """

    def __init__(self, home: Path, run: Run | None = None) -> None:
        self._home = Home(home)
        self._run = run
        self._verified: set[Digest] = set()
        self.name = f"oci:{self._home.images}"

    def exists(self, image: Digest, digest: Digest) -> Presence:
        """Whether the image is here, whole: manifest and config read and hashed, every layer's size compared.

        What a group shares is believed less: there each layer is hashed too, once per process.
        """
        try:
            return Presence.YES if complete(self._home.images, image, digest) and self._sound(digest) else Presence.NO
        except OSError:  # the disk could not be asked; that is neither yes nor no
            return Presence.UNKNOWN

    def _sound(self, manifest: Digest) -> bool:
        """Whether the layers are what their digests say; in a group's folder, once per process, they are hashed.

        A layer that is not goes, so that it is made again.
        """
        if not sharing.shared(self._home.images):
            return True
        from coopery.oci.verified import damaged

        blobs = self._home.blobs
        wrong = damaged(manifest, blobs, self._verified)
        for layer in wrong:
            blobs.drop(layer)
        return not wrong

    def mark(self, digest: Digest) -> bool:
        """Note that the image with manifest *digest* is used now; False when it is not here. About ten microseconds."""
        path = os.path.join(self._home.images, "blobs", "sha256", _digest.hex_of(digest))
        return use.mark(path, self._home.staging)

    def remove(self, image: Digest, digest: Digest) -> bool:  # noqa: ARG002 - the manifest names its config itself
        """Forget the image; blobs stay for the garbage collector, since others may share them."""
        from coopery.oci.layout import Layout

        if not self._home.images.is_dir():  # nothing was ever put here
            return False
        return Layout(self._home.images, self._home.staging).remove(digest)

    def run(self, digest: Digest, request: RunRequest) -> int:
        """Run a process in the image.

        Raises:
            UnsupportedError: this place was made without a backend.
        """
        if self._run is None:
            raise UnsupportedError("oci", "run images", "run")
        return self._run(digest, request)
