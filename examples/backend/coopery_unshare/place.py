"""The engine's own store: ``unshare/<image id>/`` in the cache folder, an image's config beside its files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coopery import digest as _digest
from coopery.backend import Placed
from coopery.blobs import disk_error
from coopery.digest import Digest
from coopery.errors import BackendError, NotFound, UnsupportedError
from coopery.image import DEFAULT_PATH, Assembled
from coopery.oci.extract import extract
from coopery.place import Presence, RunRequest
from coopery.snapshots.users import Account, UnknownUser, account
from coopery_unshare.sandbox import Spec, attach
from coopery_unshare.scratch import scratch
from coopery_unshare.tree import FolderFiles

if TYPE_CHECKING:
    from coopery.backend import Workshop


class FolderPlace:
    """Images as folders: renamed into place when they are whole, so that what is there is whole."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._root = workshop.home / "unshare"
        self.name = f"unshare:{self._root}"

    def put(self, image: Assembled) -> Placed:
        """Unpack *image*, unless it is here.

        Raises:
            IntegrityError: a layer is missing or damaged.
            CacheError: the disk refused.
        """
        folder = self._folder(image.image_id)
        if self.exists(image.image_id, image.image_id) is not Presence.YES:
            self._unpack(image, folder)
        size = len(image.config) + sum(layer.size for layer in image.layers)
        return Placed(self.name, image.image_id, size, f"{self.name}/{folder.name}")

    def exists(self, image: Digest, digest: Digest) -> Presence:
        """See `coopery.place.Place.exists`: one small file is read and hashed."""
        try:
            config = (self._folder(image) / "config.json").read_bytes()
        except FileNotFoundError:
            return Presence.NO
        except OSError:  # the disk could not be asked; that is neither yes nor no
            return Presence.UNKNOWN
        return Presence.YES if digest == image == _digest.of_bytes(config) else Presence.NO

    def remove(self, image: Digest, digest: Digest) -> bool:
        """See `coopery.place.Place.remove`."""
        if self.exists(image, digest) is not Presence.YES:
            return False
        try:
            grave = Path(tempfile.mkdtemp(prefix="unshare-", dir=self._workshop.staging))
            self._folder(image).rename(grave / "gone")
        except OSError as exc:
            raise disk_error(exc) from exc
        shutil.rmtree(grave, ignore_errors=True)
        return True

    def run(self, digest: Digest, request: RunRequest) -> int:
        """See `coopery.place.Place.run`."""
        folder = self._folder(digest)
        if self.exists(digest, digest) is not Presence.YES:
            raise NotFound(f"{self.name}: no image {digest}", remedy="build its definition again")
        config = json.loads((folder / "config.json").read_bytes())
        return self._run(config, request, lambda there: there.symlink_to(folder / "root"))

    def run_image(self, image: Assembled, request: RunRequest) -> int:
        """As `run`, of an image that is not kept here but whose blobs are in ``workshop.blobs``."""
        blobs = self._workshop.blobs
        return self._run(image.document, request, lambda there: extract(image.layers, blobs, there))

    def _run(self, config: dict[str, Any], request: RunRequest, lay: Callable[[Path], object]) -> int:
        if request.gpu:
            raise UnsupportedError("unshare", "gpu", "run --gpu")
        settings = config.get("config") or {}
        with scratch(self._workshop) as folder:
            lay(folder / "image")
            who = _account(folder / "image", request.user or settings.get("User") or "")
            own = [*(settings.get("Entrypoint") or ()), *(settings.get("Cmd") or ())]
            argv = tuple(request.argv) or tuple(own) or ("/bin/sh",)
            kept = dict(entry.split("=", 1) for entry in settings.get("Env") or ())
            env = {"PATH": DEFAULT_PATH, **kept, **request.env}
            mounts = tuple((os.path.abspath(host), inside, True) for host, inside in request.mounts)
            workdir = request.workdir or settings.get("WorkingDir") or "/"
            return attach(folder, Spec(argv, env, workdir, who, mounts))

    def _unpack(self, image: Assembled, folder: Path) -> None:
        with scratch(self._workshop) as made:
            extract(image.layers, self._workshop.blobs, made / "new" / "root")
            try:
                (made / "new" / "config.json").write_bytes(image.config)
                subprocess.run(["sync", "--file-system", made], check=True)
                folder.parent.mkdir(parents=True, exist_ok=True)
                if folder.exists():  # damaged
                    folder.rename(made / "old")
                (made / "new").rename(folder)
            except OSError as exc:
                raise disk_error(exc) from exc

    def _folder(self, image: Digest) -> Path:
        return self._root / _digest.hex_of(image)


def _account(root: Path, user: str) -> Account:
    try:
        return account(FolderFiles(root), user)
    except UnknownUser as exc:
        raise BackendError("unshare", str(exc), remedy="give a number, or a user that the image has") from exc
