"""One ``.deb``: an ``ar`` archive of two tars. Members are read in place, sizes are bounded, nothing is executed.

Source: deb(5); ar(5), the common format.
"""

from __future__ import annotations

import gzip
import lzma
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

import zstandard
from attrs import frozen

from coopery.errors import BaseError

_MAGIC: Final = b"!<arch>\n"
_HEADER: Final = 60
_MEMBERS: Final = 64
_CHUNK: Final = 1 << 18
_MEMORY: Final = 1 << 28
_CONTROL_LIMIT: Final = 1 << 26

_DAMAGED: Final = (
    tarfile.TarError,
    lzma.LZMAError,
    zlib.error,
    zstandard.ZstdError,
    EOFError,
    ValueError,
    OverflowError,
    MemoryError,
    gzip.BadGzipFile,
)
"""What the readers below raise for bytes that are not what they ought to be. MemoryError: a size that none has."""


class Reader(Protocol):
    """Anything with ``read``."""

    def read(self, size: int, /) -> bytes:
        """At most *size* bytes; empty at the end."""
        ...


@frozen
class _Member:
    name: str
    start: int
    size: int


class Deb:
    """An open package. Use as a context manager.

    Args:
        path: the file.
        name: what to call it in messages.

    Raises:
        BaseError: it is no package, here and in every method.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._name = name
        self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._members = {member.name: member for member in self._scan()}
        except BaseError:
            os.close(self._handle)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._handle)

    def control(self) -> dict[str, bytes]:
        """The files of ``control.tar`` by name: ``control`` always, ``md5sums``, and scripts, which nobody runs."""
        files: dict[str, bytes] = {}
        with self._tar("control", _CONTROL_LIMIT) as archive:
            for entry in archive:
                if entry.isreg() and (stream := archive.extractfile(entry)):
                    files[entry.name.removeprefix("./")] = stream.read()
        if "control" not in files:
            raise self._damaged("it has no control file")
        return files

    @contextmanager
    def data(self) -> Iterator[tarfile.TarFile]:
        """``data.tar``, to be read once and in order.

        What it may unpack to is bounded by 16 MiB and 200 times its size: real packages stay below 40 times.
        """
        limit = (1 << 24) + 200 * sum(one.size for name, one in self._members.items() if name.startswith("data.tar"))
        with self._tar("data", limit) as archive:
            yield archive

    @contextmanager
    def _tar(self, stem: str, limit: int) -> Iterator[tarfile.TarFile]:
        try:
            reader = _Bounded(self._open(stem), limit, f"{self._name}: {stem}.tar")
            # r|: a stream, so that no position in it is visited twice and nothing of it is kept.
            with tarfile.open(fileobj=reader, mode="r|", bufsize=_CHUNK, errors="strict") as archive:  # type: ignore[call-overload]  # it only reads
                yield archive
        except _DAMAGED as exc:
            raise self._damaged(f"{stem}.tar: {exc or type(exc).__name__}") from exc

    def _open(self, stem: str) -> Reader:
        for suffix in ("", ".xz", ".gz", ".zst"):
            if member := self._members.get(f"{stem}.tar{suffix}"):
                return _decompressed(_Slice(self._handle, member.start, member.size), suffix)
        raise self._damaged(f"it has no {stem}.tar in a form that is known; members: {', '.join(self._members)}")

    def _scan(self) -> Iterator[_Member]:
        if os.pread(self._handle, len(_MAGIC), 0) != _MAGIC:
            raise self._damaged("not an ar archive")
        end, position = os.fstat(self._handle).st_size, len(_MAGIC)
        for _ in range(_MEMBERS):
            if position >= end:
                return
            header = os.pread(self._handle, _HEADER, position)
            size = header[48:58].strip()
            if len(header) != _HEADER or header[58:] != b"`\n" or not size.isdigit():
                raise self._damaged("a damaged ar header")
            start = position + _HEADER
            if start + int(size) > end:
                raise self._damaged("cut short")
            yield _Member(header[:16].decode("ascii", "replace").strip().rstrip("/"), start, int(size))
            position = start + int(size) + int(size) % 2
        raise self._damaged(f"more than {_MEMBERS} members")

    def _damaged(self, reason: str) -> BaseError:
        return BaseError(f"{self._name}: not a Debian package: {reason}")


class _Slice:
    """Part of an open file, as a stream with a position of its own."""

    def __init__(self, handle: int, start: int, size: int) -> None:
        self._handle = handle
        self._position = start
        self._end = start + size

    def read(self, size: int = -1, /) -> bytes:
        left = self._end - self._position
        data = os.pread(self._handle, left if size < 0 else min(size, left), self._position)
        self._position += len(data)
        return data


class _Xz:
    """An xz stream, with a bound on the memory that its header may ask for (`lzma.LZMAFile` has none)."""

    def __init__(self, source: Reader) -> None:
        self._source = source
        self._unpacker = lzma.LZMADecompressor(memlimit=_MEMORY)

    def read(self, size: int, /) -> bytes:
        while not self._unpacker.eof:
            fresh = self._source.read(_CHUNK) if self._unpacker.needs_input else b""
            if self._unpacker.needs_input and not fresh:
                raise EOFError("cut short")
            if data := self._unpacker.decompress(fresh, size):
                return data
        return b""


class _Bounded:
    """Refuses to hand out more than *limit* bytes; always as many as asked for, as tarfile expects."""

    def __init__(self, source: Reader, limit: int, name: str) -> None:
        self._source = source
        self._left = limit
        self._name = name

    def read(self, size: int, /) -> bytes:
        data = bytearray()
        while len(data) < size and (chunk := self._source.read(size - len(data))):
            data += chunk
        self._left -= len(data)
        if self._left < 0:
            raise BaseError(f"{self._name}: unpacks to far more than a package of its size can; nothing was kept")
        return bytes(data)


def _decompressed(source: _Slice, suffix: str) -> Reader:
    if suffix == ".xz":
        return _Xz(source)
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=source)  # type: ignore[call-overload,no-any-return]  # it only reads
    if suffix == ".zst":
        unpacker = zstandard.ZstdDecompressor(max_window_size=_MEMORY // 2)
        return unpacker.stream_reader(source)  # type: ignore[arg-type]  # its stub asks for more than it reads with
    return source
