"""Images unpacked for running: ``rootfs/<image id>/root`` in the cache folder. Shared by all runs, changed by none."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from coopery import digest as _digest
from coopery import sharing, use
from coopery.blobs import disk_error
from coopery.errors import CacheError
from coopery.files import Stat
from coopery.home import Home
from coopery.oci.extract import extract
from coopery_oci.inside.syscalls import sync_disk

if TYPE_CHECKING:
    from coopery.backend import Workshop
    from coopery.image import Assembled

_TRIES: Final = 10
_NO_FOLLOW: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def unpacked(workshop: Workshop, image: Assembled) -> Path:
    """The folder with the files of *image*; unpacked now if it is not there. What is there is whole.

    Raises:
        IntegrityError: a layer is missing, damaged or hostile.
        CacheError: the disk refused.
    """
    folder = Home(workshop.home).own / "rootfs" / _digest.hex_of(image.image_id)
    if not (folder / "root").is_dir():
        try:
            _unpack(workshop, image, folder)
        except OSError as exc:
            raise disk_error(exc) from exc
    return folder / "root"


@contextmanager
def held(workshop: Workshop, image: Assembled) -> Iterator[Path]:
    """As `unpacked`, and not collected for as long as this lasts.

    Raises:
        IntegrityError, CacheError: as `unpacked`.
    """
    for _ in range(_TRIES):
        root = unpacked(workshop, image)
        with use.holding(root.parent) as there:
            if there:  # it may have gone between our look and our lock
                use.mark(root.parent, Home(workshop.home).own / "staging")
                yield root
                return
    raise CacheError(f"{root.parent}: it goes as soon as it is made", remedy="look who removes it")


def _unpack(workshop: Workshop, image: Assembled, folder: Path) -> None:
    """Into staging, synced, then renamed: a crash at any moment leaves no half of it under the final name."""
    for parent in (folder.parent.parent / "staging", folder.parent):
        sharing.make_folders(parent)
    staging = Path(tempfile.mkdtemp(prefix="rootfs-", dir=folder.parent.parent / "staging"))
    try:
        extract(image.layers, workshop.blobs, staging / "root")
        sync_disk(str(staging))
        os.rename(staging, folder)
    except FileExistsError:  # another process was faster; its tree is as good
        remove_tree(staging)
    except OSError as exc:
        remove_tree(staging)
        if not (folder / "root").is_dir():
            raise disk_error(exc) from exc
    except BaseException:
        remove_tree(staging)
        raise


def remove_tree(folder: Path) -> None:
    """Delete *folder*, closed folders in it included."""
    for parent, names, _ in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


class FolderFiles:
    """`coopery.files.Files` over an unpacked image. No symlink is ever followed, so nothing of the host is seen."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)

    def lstat(self, path: str) -> Stat | None:
        """What is at *path*; None when nothing is."""
        host = self._host(path)
        try:
            found = os.lstat(host) if host is not None else None
        except (FileNotFoundError, NotADirectoryError):
            return None
        if host is None or found is None:
            return None
        target = os.readlink(host) if stat.S_ISLNK(found.st_mode) else ""
        mode = stat.S_IMODE(found.st_mode)
        return Stat(_kind(found.st_mode), mode, found.st_uid, found.st_gid, found.st_size, target)

    def listdir(self, path: str) -> tuple[str, ...]:
        """Names in the folder at *path*, sorted; empty when it is no folder."""
        found = self.lstat(path)
        if found is None or found.kind != "directory":
            return ()
        return tuple(sorted(os.listdir(f"{self._root}/{path.strip('/')}")))

    def read(self, path: str, limit: int) -> bytes:
        """The first *limit* bytes of the regular file at *path*.

        Raises:
            FileNotFoundError: no regular file is there.
        """
        found, host = self.lstat(path), self._host(path)
        if host is None or found is None or found.kind != "file":
            raise FileNotFoundError(path)
        with os.fdopen(os.open(host, _NO_FOLLOW), "rb") as stream:
            return stream.read(limit)

    def _host(self, path: str) -> str | None:
        """The path on the host, once every folder above it is known to be one."""
        *above, last = path.strip("/").split("/")
        host = self._root
        for name in above:
            host = f"{host}/{name}"
            try:
                if not stat.S_ISDIR(os.lstat(host).st_mode):
                    return None
            except OSError:
                return None
        return f"{host}/{last}"


def _kind(mode: int) -> Literal["file", "directory", "symlink", "other"]:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "symlink" if stat.S_ISLNK(mode) else "other"
