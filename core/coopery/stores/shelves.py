"""The folders of a directory store: one for each name, opened from the top by descriptor, so that no link is followed.

    TOP/resolution-1/3f/<name>/1 2 3 …     TOP/placement-1/…     TOP/lease-1/…

``3f`` begins the SHA-256 of the name, and keeps folders small. ``<name>`` is the name itself where a file system can
hold it: lower-case letters, digits, ``-`` and ``_`` stand as they are, other bytes of its UTF-8 as ``%2e``; what is too
long, and what is empty, is a digest.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from attrs import field, frozen

from coopery.errors import CacheError, StoreFull
from coopery.stores.custody import Custody

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PLAIN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_")
_LONGEST: Final = 200
_SHARD: Final = re.compile("[0-9a-f]{2}")
_CODE: Final = re.compile(rb"%([0-9a-f]{2})")
_MADE: Final = "made"
_FASTER: Final = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.EPERM, errno.EACCES})
"""How a rename onto a folder fails: it is there, and is not empty or, under the sticky bit, somebody else's."""

_DIGEST_MARK: Final = "%h"
"""How a digest begins: no spelled name does, for ``%`` is followed by two hexadecimal digits there."""


@frozen
class Opened:
    """A name's folder and the store's top, as descriptors that are open for as long as the context lasts."""

    path: Path
    top: int
    folder: int


@frozen
class Shelf:
    """Where one name's folder is. ``name`` is empty where the folder does not tell it."""

    shard: str
    folder: str
    name: str = field(default="", eq=False)


@frozen
class Shelves:
    """All folders below *top*, absolute, which is made by the first write.

    Those of a *namespace* stand beside those without: ``team.resolution-1``.
    """

    top: Path
    custody: Custody
    namespace: str = ""

    @contextmanager
    def opened(self, kind: str, name: str, *, create: bool) -> Iterator[Opened | None]:
        """The folder of *name* among those of its *kind*; None where it is not there, unless *create*.

        Raises:
            StoreFull, CacheError: it cannot be opened or trusted; or what was done within it failed on the disk.
        """
        with self.at(kind, where(name), create=create) as found:
            yield found

    @contextmanager
    def at(self, kind: str, shelf: Shelf, *, create: bool = False) -> Iterator[Opened | None]:
        """As `opened`, for what `names` gave."""
        with self._at(kind, shelf.shard, shelf.folder, create=create) as found:
            yield found

    def names(self, kind: str, prefix: str) -> Iterator[Shelf]:
        """Where each name is that begins with *prefix*, and each whose folder does not tell it."""
        begins = spelled(prefix)
        for shard in self._listed(kind):
            if _SHARD.fullmatch(shard):
                for folder in self._listed(kind, shard):
                    if folder.startswith((begins, _DIGEST_MARK)):
                        yield Shelf(shard, folder, _read(folder))

    def _listed(self, *parts: str) -> list[str]:
        with self._at(*parts, create=False) as found:
            return [] if found is None else sorted(os.listdir(found.folder))

    @contextmanager
    def _at(self, kind: str, *below: str, create: bool) -> Iterator[Opened | None]:
        parts = (f"{spelled(self.namespace)}.{kind}" if self.namespace else kind, *below)
        path = self.top.joinpath(*parts)
        with ExitStack() as stack:
            try:
                yield self._descend(parts, stack, create=create)
            except OSError as exc:
                raise refused(path, exc) from exc

    def _descend(self, parts: tuple[str, ...], stack: ExitStack, *, create: bool) -> Opened | None:
        if create:
            self._make_top()
        top = here = self._open(self.top, None, stack)
        path = self.top
        for part in parts:
            if here is None or top is None:
                return None
            path, above = path / part, here
            here = self._open(path, above, stack)
            if here is None and create:
                self.custody.check_writer(top)
                self._make(part, above)
                here = self._open(path, above, stack)
        return None if here is None or top is None else Opened(path, top, here)

    def _open(self, path: Path, above: int | None, stack: ExitStack) -> int | None:
        """A descriptor of the folder *path*, in the open one *above*; None where it is not there."""
        try:
            handle = os.open(path if above is None else path.name, _FOLDER, dir_fd=above)
        except FileNotFoundError:
            return None
        except OSError as exc:
            if exc.errno in (errno.ELOOP, errno.ENOTDIR):
                raise CacheError(
                    f"{path}: refused, it is a symlink or no folder", remedy="look who put it there, or name another"
                ) from exc
            raise
        stack.callback(os.close, handle)
        self.custody.check_folder(path, os.fstat(handle))
        return handle

    def _make_top(self) -> None:
        if not self.top.is_dir():
            self.top.parent.mkdir(parents=True, exist_ok=True)
            above = os.open(self.top.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self._make(self.top.name, above)
            finally:
                os.close(above)

    def _make(self, name: str, above: int) -> None:
        """Make a folder that has its permission bits from the first moment on, whatever the umask is."""
        if self.custody.folder_mode == 0o700:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=above)
        else:
            self._make_shared(name, above)
        os.fsync(above)

    def _make_shared(self, name: str, above: int) -> None:
        temporary = f"new-{os.urandom(8).hex()}"
        mark = f"{temporary}/{_MADE}"
        os.mkdir(temporary, 0o700, dir_fd=above)
        try:
            # Something must be in it: a rename replaces a folder of somebody else's only where that is empty.
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL | os.O_WRONLY, dir_fd=above))
            os.chmod(mark, self.custody.file_mode, dir_fd=above)
            os.chmod(temporary, self.custody.folder_mode, dir_fd=above)
            os.rename(temporary, name, src_dir_fd=above, dst_dir_fd=above)
        except OSError as exc:
            for remove, what in ((os.unlink, mark), (os.rmdir, temporary)):
                with suppress(OSError):
                    remove(what, dir_fd=above)
            if exc.errno not in _FASTER:
                raise


def where(name: str) -> Shelf:
    """Where *name* is kept.

    Raises:
        CacheError: no file system could hold it: a lone surrogate.
    """
    digest = hashlib.sha256(_bytes(name)).hexdigest()
    text = spelled(name)
    return Shelf(digest[:2], text if 0 < len(text) <= _LONGEST else f"{_DIGEST_MARK}{digest}", name)


def spelled(name: str) -> str:
    """*name* in letters that every file system keeps apart. That of a prefix is a prefix of it."""
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in _bytes(name))


def _read(folder: str) -> str:
    """The name that is `spelled` as *folder*; empty for a digest, and for what we did not make."""
    data = _CODE.sub(lambda code: bytes.fromhex(code[1].decode()), os.fsencode(folder))
    name = data.decode(errors="replace")
    return name if not folder.startswith(_DIGEST_MARK) and spelled(name) == folder else ""


def _bytes(name: str) -> bytes:
    try:
        return name.encode()
    except UnicodeEncodeError as exc:
        raise CacheError(f"{name!r}: no name of a record: {exc.reason}") from exc


def refused(path: Path, exc: OSError) -> CacheError:
    """Our error for what a disk or a file server refused at *path*."""
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(f"{path}: no space left", remedy="free some space there, or name another cache store")
    if exc.errno == errno.ELOOP:
        return CacheError(f"{path}: refused, a symlink is in the way", remedy="look who put it there, then remove it")
    if exc.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        remedy = (
            "name a folder that you can write; to read there and write elsewhere: 'sqlite: directory:…?readonly=true'"
        )
        return CacheError(f"{path}: cannot be read or written: {exc.strerror}", remedy=remedy)
    return CacheError(f"{path}: failed: {exc.strerror}", remedy="try again; the file server may be away")
