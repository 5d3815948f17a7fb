"""Wheels on this machine, unpacked: once, checked against their own RECORD, kept under the hash of the wheel.

Files lie there under numbers: no name that a stranger chose is ever one on this machine. What is kept does not depend
on prefix or Python, so that all environments share it.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Final

from attrs import astuple, field, frozen
from installer import install
from installer.destinations import WheelDestination
from installer.exceptions import InstallerError
from installer.records import RecordEntry
from installer.utils import Scheme

from coopery.blobs import disk_error
from coopery.errors import PackageError
from coopery.folders import adopt_folder, scratch, set_aside
from coopery.lock import Artifact
from coopery_pip.archive import opened
from coopery_pip.entry_points import Command
from coopery_pip.identity import check_dist_info
from coopery_pip.record import Stated, encoded
from coopery_pip.source import Source

_TAG: Final = "coopery.wheel.v1"
_INDEX: Final = "index.json"
_CHUNK: Final = 1 << 20


@frozen
class File:
    """One file of a wheel.

    Attributes:
        scheme: ``purelib``, ``platlib``, ``scripts``, ``headers`` or ``data``: which folder *path* is relative to.
        path: never leaves that folder.
        executable: whether it may be run.
        sha256: of its bytes, in hexadecimal.
        size: of them.
        name: of the file that has them here.
    """

    scheme: str
    path: str
    executable: bool
    sha256: str
    size: int
    name: str


@frozen
class Unpacked:
    """One wheel, unpacked in *folder*.

    Attributes:
        folder: has its files, by numbers.
        dist_info: name of its folder of metadata.
        root: scheme that this folder is in.
        files: all but RECORD and what goes stale.
        commands: scripts to make.
    """

    folder: Path
    dist_info: str
    root: str
    files: tuple[File, ...]
    commands: tuple[Command, ...]

    def source(self, file: File) -> Path:
        """Where the bytes of *file* are."""
        return self.folder / file.name


@frozen
class UnpackedWheels:
    """The unpacked wheels in *root*. Threads may share it.

    Attributes:
        root: one folder per wheel, named after its sha256.
        staging: for half-made ones.
    """

    root: Path
    staging: Path
    _sound: set[str] = field(factory=set, init=False, eq=False, repr=False)
    _locks: dict[str, threading.Lock] = field(factory=dict, init=False, eq=False, repr=False)

    def has(self, artifact: Artifact) -> bool:
        """Whether it is here; damaged or not."""
        return (self.root / artifact.sha256 / _INDEX).is_file()

    def listed(self, artifact: Artifact, wheel: Path) -> Unpacked:
        """What the wheel has; unpacked now if it was not. File contents may have been damaged since.

        Raises:
            PackageError: it is damaged, hostile, or not what the lock says. Nothing of it stays.
            StoreFull, CacheError: the disk refused.
        """
        with self._locks.setdefault(artifact.sha256, threading.Lock()):
            found = _load(self.root / artifact.sha256) or self._unpack(artifact, wheel)
        check_dist_info(artifact, found.dist_info)
        return found

    def checked(self, artifact: Artifact, wheel: Path) -> Unpacked:
        """The same, every file compared with its hash; what was damaged is unpacked again. Raises as `listed`."""
        found = self.listed(artifact, wheel)
        with self._locks[artifact.sha256]:
            if artifact.sha256 not in self._sound and not _is_sound(found):
                found = self._unpack(artifact, wheel)
            self._sound.add(artifact.sha256)
        return found

    def _unpack(self, artifact: Artifact, wheel: Path) -> Unpacked:
        folder = self.root / artifact.sha256
        if folder.exists():
            set_aside(folder, self.staging)
        with scratch(self.staging, "pip-wheel") as made, opened(wheel, artifact.file_name) as archive:
            _unpack(Source(artifact, archive), made)
            adopt_folder(made, folder)
        self._sound.add(artifact.sha256)
        found = _load(folder)
        if found is None:
            raise PackageError(artifact.file_name, f"was unpacked into {folder}, and cannot be read there")
        return found


class _Folder(WheelDestination):
    """Where `installer` writes: numbered files, and a list of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.files: list[File] = []
        self.root = ""

    def write_file(
        self, scheme: Scheme, path: str | os.PathLike[str], stream: BinaryIO, is_executable: bool
    ) -> RecordEntry:
        name, digest, size = str(len(self.files)), hashlib.sha256(), 0
        with (self._folder / name).open("xb") as out:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                out.write(chunk)
        self.files.append(File(str(scheme), os.fspath(path), is_executable, digest.hexdigest(), size, name))
        return RecordEntry(os.fspath(path), None, None)  # RECORD is written for one prefix, in `installed`

    def finalize_installation(
        self,
        scheme: Scheme,
        record_file_path: str,  # noqa: ARG002 - the destination's protocol; RECORD is written in `installed`
        records: Iterable[tuple[Scheme, RecordEntry]],  # noqa: ARG002 - as above
    ) -> None:
        self.root = str(scheme)


def _unpack(source: Source, folder: Path) -> None:
    stated = source.stated()
    commands = source.commands()
    destination = _Folder(folder)
    try:
        install(source, destination, {})
        for member, file in zip(source.members, destination.files, strict=True):
            if not _agrees(stated[member.name], file, folder):
                raise source.error(f"{member.name!r} is not what its RECORD states")
        _save(Unpacked(folder, source.dist_info_dir, destination.root, tuple(destination.files), commands))
    except InstallerError as exc:
        raise source.error(str(exc)) from exc
    except OSError as exc:
        raise disk_error(exc) from exc


def _agrees(stated: Stated, file: File, folder: Path) -> bool:
    if stated.size not in (-1, file.size):
        return False
    if stated.algorithm == "sha256":
        return stated.digest == encoded(bytes.fromhex(file.sha256))
    return stated.digest == encoded(_hashed(folder / file.name, stated.algorithm).digest())


def _hashed(path: Path, algorithm: str) -> hashlib._Hash:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm)


def _save(unpacked: Unpacked) -> None:
    document = {
        "tag": _TAG,
        "dist_info": unpacked.dist_info,
        "root": unpacked.root,
        "files": [astuple(file) for file in unpacked.files],
        "commands": [astuple(command) for command in unpacked.commands],
    }
    body = json.dumps(document).encode()
    (unpacked.folder / _INDEX).write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)


def _load(folder: Path) -> Unpacked | None:
    """What is kept in *folder*; None when there is nothing, or its list is damaged."""
    try:
        digest, _, body = (folder / _INDEX).read_bytes().partition(b"\n")
        if hashlib.sha256(body).hexdigest().encode() != digest:
            return None
        found = json.loads(body)
        if found["tag"] != _TAG:
            return None
        files = tuple(File(*row) for row in found["files"])
        return Unpacked(folder, found["dist_info"], found["root"], files, tuple(Command(*c) for c in found["commands"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _is_sound(unpacked: Unpacked) -> bool:
    try:
        return all(
            unpacked.source(file).stat().st_size == file.size
            and _hashed(unpacked.source(file), "sha256").hexdigest() == file.sha256
            for file in unpacked.files
        )
    except OSError:
        return False
