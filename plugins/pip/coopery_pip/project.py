"""What a project needs to be built, read from its source as it stands: nothing is unpacked, nothing is run.

Source: "pyproject.toml specification" of the Python Packaging User Guide, `[build-system]` (PEP 517, PEP 518), and
"source distribution format" for what an archive has at its top. Archives come from strangers: what is read is bounded.
"""

from __future__ import annotations

import bz2
import lzma
import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO, Any, Final, cast

from attrs import frozen
from packaging.requirements import InvalidRequirement, Requirement

from coopery.errors import IntegrityError, PackageError
from coopery.oci.compression import Readable, inflate
from coopery.oci.limits import Limits
from coopery.oci.stream import Stream
from coopery.oci.tar import TarReader
from coopery_pip.archive import opened
from coopery_pip.code import Code

_LEGACY: Final = "setuptools.build_meta:__legacy__"
_DEFAULT: Final = ("setuptools>=40.8.0", "wheel")
"""What builds a project that says nothing. PEP 517 and 518; ``wheel`` is what older setuptools ask for besides."""

_LIMITS: Final = Limits(size=8 << 30, ratio=100, floor=64 << 20, entries=200_000)
_MAX_TOML: Final = 4 << 20
_MEMORY: Final = 256 << 20
_FILE: Final = "pyproject.toml"


@frozen
class Project:
    """How one project is built.

    Attributes:
        requires: requirements of its build, as it writes them.
        backend: ``module:object`` that builds it.
        backend_path: folders of its own that the module is in.
    """

    requires: tuple[str, ...] = _DEFAULT
    backend: str = _LEGACY
    backend_path: tuple[str, ...] = ()


def read(code: Code) -> Project:
    """The project in *code*.

    Raises:
        PackageError: it is no archive that can be read, is hostile, or its ``pyproject.toml`` says nothing of use.
    """
    try:
        text = _zipped(code) if code.is_zip else _tarred(code)
    except IntegrityError as exc:
        raise PackageError(code.file_name, f"cannot be read as a source archive: {exc.message}") from exc
    return _project(text, code) if text is not None else Project()


def _project(text: bytes, code: Code) -> Project:
    try:
        document = tomllib.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as exc:
        raise _error(code, f"cannot be read: {exc}") from exc
    system = document.get("build-system")
    if system is None:
        return Project()
    requires: Any = system.get("requires") if isinstance(system, dict) else None
    if not _is_texts(requires):
        raise _error(code, "expected a list of requirements in build-system.requires")
    for text_ in requires:
        _check(text_, code)
    backend, path = system.get("build-backend", _LEGACY), system.get("backend-path", [])
    if not isinstance(backend, str) or not _is_texts(path):
        raise _error(code, "expected text in build-system.build-backend, and a list of folders in backend-path")
    extra = ("wheel",) if backend.startswith("setuptools.build_meta") and "wheel" not in requires else ()
    return Project((*requires, *extra), backend, tuple(path))


def _check(text: str, code: Code) -> None:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as exc:
        raise _error(code, f"{text!r} in build-system.requires is no requirement: {exc}") from exc
    if requirement.url:
        raise _error(code, f"{text!r} in build-system.requires names a URL, and only indexes are asked for these")


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _error(code: Code, message: str) -> PackageError:
    return PackageError(code.file_name, f"{_FILE}: {message}")


def _zipped(code: Code) -> bytes | None:
    with opened(code.path, code.file_name) as archive:
        names = {member.name: member for member in archive.members}
        for wanted in _candidates(code, names):
            if wanted in names:
                with archive.open(names[wanted]) as stream:
                    return stream.read(_MAX_TOML)
    return None


def _tarred(code: Code) -> bytes | None:
    """One pass over the tar: its top is known only at the end."""
    found: dict[str, bytes] = {}
    tops: set[str] = set()
    suffix = str(PurePosixPath(code.subdirectory, _FILE))
    with _plain(code) as source:
        stream = Stream(source)
        for member in TarReader(stream, _LIMITS, code.file_name):
            top, _, rest = member.path.partition("/")
            tops.add(top)
            if member.kind == "file" and member.size <= _MAX_TOML and suffix in (rest, member.path):
                found[member.path] = stream.read(member.size)
    return next((found[name] for name in _candidates(code, tops) if name in found), None)


def _candidates(code: Code, names: Any) -> Iterator[str]:
    """Where its ``pyproject.toml`` may stand: below the one folder that everything is in, else at the top."""
    tops = {name.partition("/")[0] for name in names}
    below = str(PurePosixPath(code.subdirectory, _FILE))
    yield f"{next(iter(tops))}/{below}" if len(tops) == 1 else below


@contextmanager
def _plain(code: Code) -> Iterator[Readable]:
    """The tar in *code*, without its compression."""
    with code.path.open("rb") as file:
        head = file.read(6)
        file.seek(0)
        try:
            yield _inflated(file, head, code.file_name)
        except (OSError, EOFError, lzma.LZMAError, MemoryError) as exc:
            raise IntegrityError(f"{code.file_name}: {exc or 'it ends too early'}") from exc


def _inflated(file: IO[bytes], head: bytes, name: str) -> Readable:
    if head.startswith(b"BZh"):
        return _Capped(cast(Readable, bz2.BZ2File(file)), _most(file), name)
    if head.startswith(b"\xfd7zXZ\0"):
        return _Capped(_Xz(file), _most(file), name)
    return inflate(file, "gzip" if head.startswith(b"\x1f\x8b") else "", _LIMITS, name)


def _most(file: IO[bytes]) -> int:
    """Bytes that what is stored in *file* may become."""
    stored = os.fstat(file.fileno()).st_size
    return min(_LIMITS.size, max(_LIMITS.floor, _LIMITS.ratio * stored))


class _Xz:
    """LZMAFile takes no bound on memory; a decompressor does."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decompressor = lzma.LZMADecompressor(memlimit=_MEMORY)

    def read(self, size: int, /) -> bytes:
        """At most *size* bytes; ``b""`` at the end only."""
        while not self._decompressor.eof:
            piece = self._file.read(1 << 16) if self._decompressor.needs_input else b""
            if not piece and self._decompressor.needs_input:
                raise EOFError("the xz data ends too early")
            if data := self._decompressor.decompress(piece, size):
                return data
        return b""


class _Capped:
    """Bounds what comes out, as `coopery.oci.compression` does for its own."""

    def __init__(self, source: Readable, most: int, name: str) -> None:
        self._source, self._most, self._name, self._size = source, most, name, 0

    def read(self, size: int, /) -> bytes:
        """At most *size* bytes; ``b""`` at the end only."""
        data = self._source.read(min(size, 1 << 20))
        self._size += len(data)
        if self._size > self._most:
            raise IntegrityError(f"{self._name}: more than {self._most} bytes after decompression")
        return data
