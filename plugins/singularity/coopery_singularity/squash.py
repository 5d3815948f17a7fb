"""A layer stack as a squashfs: flattened into a pipe, compressed by ``mksquashfs``, nothing unpacked.

zstd at level 1, since what is read at every start of every process should be quick to inflate, and a level more costs
more seconds than it saves bytes. Equal layers give equal bytes with equal squashfs-tools, whatever the number of
processors: squashfs-tools 4.5 has the root folder's time from the clock whatever it is told, so inodes are left
uncompressed (0.3 % more) and that time is set here. Source: Linux, fs/squashfs/squashfs_fs.h.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from coopery.blobs import disk_error
from coopery.errors import BackendError, IntegrityError, StoreFull
from coopery.oci.flatten import Added, flatten
from coopery.oci.layer_blob import opened
from coopery.oci.layer_index import members_of
from coopery_singularity.apptainer import NAME

if TYPE_CHECKING:
    from coopery.blobs import BlobStore
    from coopery.layer import Layer

COMPRESSION: Final = ("-comp", "zstd", "-Xcompression-level", "1")
_STABLE: Final = (
    "-tar",
    "-mkfs-time",
    "0",
    "-root-mode",
    "755",
    "-root-uid",
    "0",
    "-root-gid",
    "0",
    "-noI",
    "-no-xattrs",
)
_QUIET: Final = ("-quiet", "-no-progress")
_SUPERBLOCK: Final = struct.Struct("<IIIIIHHHHHHQQQQQQQQ")
_MAGIC: Final = 0x73717368
_METADATA: Final = 8192
_PLAIN: Final = 0x8000
_TAIL: Final = 2000
_PIECE: Final = 1 << 20
_NEARLY_FULL: Final = 4 << 20


def squash(
    layers: Sequence[Layer],
    blobs: BlobStore,
    path: Path,
    *,
    added: Sequence[Added] = (),
    below: str = "",
    offset: int = 0,
) -> None:
    """Write the file system that *layers* make, and *added*, as a squashfs to *path*, from its byte *offset* on.

    Where *below* names a folder, that folder alone, as the root.

    Raises:
        BackendError: there is no mksquashfs that reads tars, or it failed.
        IntegrityError: a layer is missing, damaged or hostile.
        StoreFull, CacheError: the disk refused.
    """
    _make(path, offset, lambda sink: flatten(layers, blobs, sink, added=added, below=below))


def squash_layer(layer: Layer, blobs: BlobStore, path: Path) -> None:
    """Write *layer* alone as a squashfs; its whiteouts stay the files that they are, which fuse-overlayfs understands.

    Raises:
        BackendError, IntegrityError, StoreFull, CacheError: as `squash`.
    """
    members_of(layer, blobs)  # a hostile tar is refused here

    def write(sink: IO[bytes]) -> None:
        with opened(layer, blobs) as stream:
            while piece := stream.read(_PIECE):
                sink.write(piece)

    _make(path, 0, write)


def _make(path: Path, offset: int, write: Callable[[IO[bytes]], object]) -> None:
    argv = [_program(), "-", str(path), *COMPRESSION, *_STABLE, *_QUIET, "-offset", str(offset)]
    path.unlink(missing_ok=True)  # mksquashfs appends to what is there
    with tempfile.TemporaryFile() as noise:
        try:
            _pipe(argv, write, noise)
            _set_root_time(path, offset)
        except OSError as exc:
            raise disk_error(exc) from exc
        except subprocess.CalledProcessError as exc:
            raise _failed(exc, path, noise) from exc


def _program() -> str:
    found = shutil.which("mksquashfs") or shutil.which("mksquashfs", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if found is None:
        raise BackendError(NAME, "mksquashfs is not on PATH", remedy="install squashfs-tools, 4.5 or later")
    return found


def _pipe(argv: list[str], write: Callable[[IO[bytes]], object], noise: IO[bytes]) -> None:
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=noise, stderr=noise) as process:
        assert process.stdin is not None  # noqa: S101 - it was asked for
        try:
            write(process.stdin)
            process.stdin.close()
        except BrokenPipeError:  # it has ended and says why
            pass
        except BaseException:
            process.kill()
            raise
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, argv)


def _failed(exc: subprocess.CalledProcessError, path: Path, noise: IO[bytes]) -> BackendError | StoreFull:
    if shutil.disk_usage(path.parent).free < _NEARLY_FULL:
        return StoreFull(
            f"no space left ({path.parent})", remedy="free some space, or set COOPERY_HOME to a larger disk"
        )
    noise.seek(max(0, noise.seek(0, os.SEEK_END) - _TAIL))
    said = noise.read().decode("utf-8", "replace").strip()
    return BackendError(
        NAME,
        f"mksquashfs exited with {exc.returncode}: {said}",
        remedy="squashfs-tools 4.5 or later, with zstd, is needed",
    )


def _set_root_time(path: Path, offset: int) -> None:
    """Set the root folder's time to 0: four bytes of its inode, which may stand in two metadata blocks."""
    with path.open("r+b") as file:
        file.seek(offset)
        fields = _SUPERBLOCK.unpack(file.read(_SUPERBLOCK.size))
        if fields[0] != _MAGIC:
            raise IntegrityError(f"{path}: mksquashfs made no squashfs")
        root, table = fields[11], fields[15]
        block, inside = root >> 16, root & 0xFFFF
        for place in range(inside + 8, inside + 12):  # the time's place in every kind of inode
            at = offset + table + block + place // _METADATA * (_METADATA + 2)
            file.seek(at)
            (header,) = struct.unpack("<H", file.read(2))
            if not header & _PLAIN:
                raise IntegrityError(f"{path}: mksquashfs compressed the inodes against its orders")
            file.seek(at + 2 + place % _METADATA)
            file.write(b"\0")
        file.flush()
        os.fsync(file.fileno())
