"""Folders as tars and back: packages that are kept unpacked travel so. Equal folders give equal bytes."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from coopery.blobs import disk_error
from coopery.errors import IntegrityError

if TYPE_CHECKING:
    from coopery.digest import Digest


def pack(folder: Path, file: Path) -> None:
    """Write the files, links and folders below *folder* to the new *file*; owners and times are 0, names sorted.

    Raises:
        IntegrityError: something else lies in it.
        StoreFull, CacheError: the disk refused.
    """
    try:
        with tarfile.open(file, "x", format=tarfile.PAX_FORMAT) as tar:
            _add(tar, str(folder), "")
    except OSError as exc:
        raise disk_error(exc) from exc


def unpack(tar: Path, digest: Digest, size: int, folder: Path, staging: Path) -> None:
    """Unpack *tar*, which has that digest, into the new *folder*, as one layer of an image: nothing leaves it.

    Raises:
        IntegrityError: damaged or hostile.
        StoreFull, CacheError: the disk refused.
    """
    from coopery.blobs import BlobStore
    from coopery.layer import Layer
    from coopery.oci.extract import extract

    blobs = BlobStore(folder.with_name("blobs"), staging)
    try:
        blobs.path(digest).parent.mkdir(parents=True, exist_ok=True)
        os.rename(tar, blobs.path(digest))
    except OSError as exc:
        raise disk_error(exc) from exc
    done = extract([Layer(digest, digest, size)], blobs, folder)
    if done.skipped:
        raise IntegrityError(f"{tar.name}: a device or a FIFO is in it, which no package has")
    blobs.path(digest).unlink()


def _add(tar: tarfile.TarFile, folder: str, below: str) -> None:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        name = f"{below}{entry.name}"
        member = tarfile.TarInfo(name)
        if entry.is_symlink():
            member.type, member.linkname, member.mode = tarfile.SYMTYPE, os.readlink(entry.path), 0o777
            tar.addfile(member)
        elif entry.is_dir(follow_symlinks=False):
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(member)
            _add(tar, entry.path, f"{name}/")
        elif entry.is_file(follow_symlinks=False):
            _add_file(tar, entry, member)
        else:
            raise IntegrityError(f"{entry.path}: neither a file nor a folder nor a link")


def _add_file(tar: tarfile.TarFile, entry: os.DirEntry[str], member: tarfile.TarInfo) -> None:
    found = entry.stat(follow_symlinks=False)
    member.size, member.mode = found.st_size, found.st_mode & 0o777  # what a package is cut to has these modes
    with open(os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        tar.addfile(member, file)
