"""Archives of a few large members, written so that equal content gives equal bytes.

Members are sorted; owner and time are 0, modes fixed. Every blob is verified while it is copied, and the file appears
under its name only when it is whole.
"""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from coopery.blobs import disk_error, sync_folder
from coopery.digest import Digest
from coopery.errors import IntegrityError
from coopery.oci.compressor import Sink
from coopery.oci.verified import copy

Content = bytes | tuple[Path, Digest]
"""Of a member: bytes, or a file and the digest that its content must have."""


def write_tar(file: Path, members: Mapping[str, Content], folders: tuple[str, ...] = ()) -> None:
    """Write *members*, by path, and *folders* to *file*, in place of what was there.

    Raises:
        IntegrityError: a file is missing, or has other bytes than its digest says.
        StoreFull, CacheError: the disk refused. What was there before still is.
    """
    names = sorted((*members, *folders))
    with replacing(file) as stream:
        for name in names:
            if name in folders:
                stream.write(header(name, 0, folder=True))
            else:
                write_member(stream, name, members[name])
        stream.write(bytes(tarfile.BLOCKSIZE * 2))
        stream.write(bytes(-stream.tell() % tarfile.RECORDSIZE))


def write_member(stream: Sink, name: str, content: Content) -> None:
    """Write one member: header, content, padding.

    Raises:
        IntegrityError: a file is missing, or has other bytes than its digest says.
    """
    if isinstance(content, bytes):
        size = len(content)
        stream.write(header(name, size) + content)
    else:
        path, digest = content
        try:
            size = path.stat().st_size
        except FileNotFoundError as exc:
            raise IntegrityError(f"layer {digest}: its blob is missing") from exc
        stream.write(header(name, size))
        copy(path, digest, stream.write)
    stream.write(bytes(-size % tarfile.BLOCKSIZE))


def header(name: str, size: int, *, folder: bool = False) -> bytes:
    """The header of one member, the same whoever writes it and when."""
    member = tarfile.TarInfo(name + "/" if folder else name)
    member.size = size
    member.mode = 0o755 if folder else 0o644
    member.type = tarfile.DIRTYPE if folder else tarfile.REGTYPE
    return member.tobuf(tarfile.PAX_FORMAT)  # plain ustar, but for sizes of 8 GiB and more


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file beside *path* that takes its place, whole and synced, when the context ends well."""
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name[:64]}-", dir=path.parent)
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fchmod(handle, 0o644)
            os.fsync(handle)
        os.replace(temporary, path)
        temporary = ""
        sync_folder(path.parent)
    except OSError as exc:
        raise disk_error(exc) from exc
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
