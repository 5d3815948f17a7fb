"""``index.json`` of our own layout: read without a lock, replaced whole under one.

The lock is taken on a file of its own, since the index is replaced. A symlink in its place is refused and never
followed or truncated (CVE-2025-68146).
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from coopery import private
from coopery.blobs import disk_error
from coopery.errors import IntegrityError
from coopery.image import encode
from coopery.oci import media
from coopery.oci.descriptor import Descriptor
from coopery.oci.manifest import make_index, parse_index
from coopery.whole import write_whole

_EMPTY: Final = make_index([])


class IndexFile:
    """The entries of one layout. Safe for many processes and threads."""

    def __init__(self, path: Path, staging: Path) -> None:
        self._path = path
        self._staging = staging

    def entries(self) -> tuple[Descriptor, ...]:
        """What is listed.

        Raises:
            IntegrityError: the file is damaged. It is only ever replaced whole, so something else has written it.
        """
        try:
            return parse_index(self._read() or _EMPTY, media.INDEX, str(self._path))
        except IntegrityError as exc:
            raise IntegrityError(exc.message, remedy=f"move {self._path} away; images are built again") from exc

    @contextmanager
    def changed(self) -> Iterator[list[dict[str, Any]]]:
        """Give out the entries, as plain data, in a list to change; it is written when the context ends well.

        What we do not know stays: other tools' entries, annotations and fields.

        Raises:
            IntegrityError: the file is damaged.
            StoreFull, CacheError: the disk refused; the file is as it was.
        """
        with self._locked():
            self.entries()
            document = json.loads(self._read() or _EMPTY)
            before = list(document["manifests"])
            yield document["manifests"]
            if document["manifests"] != before:
                write_index(self._path, encode(document), self._staging)

    def create(self) -> None:
        """Write an index of nothing, unless there is one."""
        with self._locked():
            if not self._path.exists():
                write_index(self._path, _EMPTY, self._staging)

    def _read(self) -> bytes:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as exc:
            raise disk_error(exc) from exc

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            lock = self._path.with_name(".index.lock")
            private.make_file(lock)
            handle = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as exc:
            raise disk_error(exc) from exc
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def write_index(path: Path, data: bytes, staging: Path) -> None:
    """Replace one of a layout's own two files, which everybody may read.

    Raises:
        StoreFull, CacheError: the disk refused; *path* is as it was.
    """
    write_whole(path, data, staging, mode=0o644, fault="index-replace")
