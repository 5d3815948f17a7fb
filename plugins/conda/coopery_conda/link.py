"""One package in a prefix: which paths it has there, with which bytes and modes. Nothing is copied on the host.

The same as py-rattler 0.28's ``install`` makes, but for ``.pyc`` files and records; the tests compare file by file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from attrs import frozen

from coopery.layer import Entry
from coopery.lock import Artifact
from coopery_conda import entry_points, prefix_record
from coopery_conda.content import Content, Reader
from coopery_conda.package import Package, Row
from coopery_conda.prefix_record import Recorded

if TYPE_CHECKING:
    from coopery.bytecode import Compiled, Module, Python
    from coopery_conda.summary import Summary

_MODE: Final = 0o644
"""Of files that are made here."""


class Compile(Protocol):
    """Makes ``.pyc`` files of modules; those that do not compile are left out."""

    def __call__(self, modules: Sequence[Module], /) -> Sequence[Compiled]:
        """Compile *modules*; the results are in their order."""
        ...


@frozen
class Linked:
    """One package, to be linked alone.

    Attributes:
        artifact: as locked.
        package: as extracted.
        summary: the package in short.
        prefix: absolute path in the image.
        python: the environment's Python, if it has one.
        verify: compare every file with the hash that the package states, since it was extracted by an earlier process.
    """

    artifact: Artifact
    package: Package
    summary: Summary
    prefix: str
    python: Python | None
    verify: bool = False

    def paths(self, compiled: bool) -> Iterator[str]:
        """Every path that `entries` yields, directories with a slash behind; those of ``.pyc`` where *compiled*.

        Which modules do not compile is not known here: their ``.pyc`` are listed too.
        """
        placed = self._placed()
        commands = self._commands()
        for path, row in placed.items():
            yield self._absolute(path) + ("/" if row.kind == "directory" else "")
        yield from (self._absolute(path) for path in commands if path not in placed)
        yield self._absolute(prefix_record.path_of(self.artifact))
        if compiled and self.python is not None:
            yield from (self._absolute(self.python.compiled(path)) for path in self._modules(placed))

    def entries(self, compile: Compile | None = None) -> Iterator[Entry]:  # noqa: A002 - the verb that it is
        """All of it, sorted by path but for scripts, ``.pyc`` and the record, which come last.

        Raises:
            PackageError: damaged on disk, or it tries to leave the prefix.
        """
        recorded: list[Recorded] = []
        modules: list[Module] = []
        placed, commands = self._placed(), self._commands()
        wanted = set(self._modules(placed)) if compile else set()
        reader = Reader(self.package, self.prefix, self.verify)
        for path, row in sorted(placed.items()):
            if path in commands:
                continue
            content = reader.read(row)
            recorded.append(_record(path, row, content))
            if path in wanted and content.kind == "file":
                modules.append((path, f"{self.prefix}/{path}", content.source))
            yield self._entry(path, content)
        for path, script in sorted(commands.items()):
            sha256 = hashlib.sha256(script).hexdigest()
            recorded.append(Recorded(path, "unix_python_entry_point", sha256, size=len(script)))
            yield self._entry(path, Content("file", entry_points.MODE, source=script, size=len(script)))
        for made in compile(modules) if compile and modules else ():
            recorded.append(Recorded(made.path, "pyc_file", made.sha256, size=made.size))
            yield self._entry(made.path, Content("file", _MODE, source=made.source, size=made.size))
        record = prefix_record.encode(self.artifact, self.package.index(), recorded)
        path = prefix_record.path_of(self.artifact)
        yield self._entry(path, Content("file", _MODE, source=record, size=len(record)))

    def content(self, path: str) -> bytes | None:
        """The bytes of the file at *path*, relative to the prefix; None when the package has no such file.

        Raises:
            PackageError: as `entries`.
        """
        row = self._placed().get(path)
        if row is None:
            return None
        source = Reader(self.package, self.prefix, self.verify).read(row).source
        return source.read_bytes() if isinstance(source, Path) else source

    def _entry(self, path: str, content: Content) -> Entry:
        return Entry(
            self._absolute(path), content.kind, content.mode, content.target, source=content.source, size=content.size
        )

    def _absolute(self, path: str) -> str:
        return f"{self.prefix.strip('/')}/{path}"

    def _placed(self) -> dict[str, Row]:
        """Path in the prefix → row, without the ``.pyc`` files that fixed times would make stale."""
        rows = self.package.rows()
        placed: dict[str, Row] = {}
        for row in rows:
            path = self._destination(row.path)
            if path in placed:
                raise self.package.error(f"{row.path!r} and {placed[path].path!r} both belong at {path!r}")
            placed[path] = row
        return {path: row for path, row in placed.items() if not _is_stale(path, placed)}

    def _destination(self, path: str) -> str:
        """Source: CEP "noarch: python", ``site-packages/`` and ``python-scripts/``."""
        if self.summary.noarch != "python":
            return path
        if path.startswith("site-packages/"):
            return f"{self._python().site_packages}/{path.removeprefix('site-packages/')}"
        return f"bin/{path.removeprefix('python-scripts/')}" if path.startswith("python-scripts/") else path

    def _commands(self) -> dict[str, bytes]:
        """Console scripts: path in the prefix → text."""
        if self.summary.noarch != "python":
            return {}
        try:
            points = [entry_points.parse(line) for line in self.package.entry_points()]
        except ValueError as exc:
            raise self.package.error(str(exc)) from exc
        return {f"bin/{p.command}": p.script(f"{self.prefix}/{self._python().executable}") for p in points}

    def _python(self) -> Python:
        if self.python is None:
            raise self.package.error("is for any Python, and none is in the lock", "add python to $.conda.dependencies")
        return self.python

    def _modules(self, placed: dict[str, Row]) -> list[str]:
        if self.python is None:
            return []
        below = f"{self.python.library}/"
        return [p for p, row in placed.items() if row.kind == "file" and p.startswith(below) and p.endswith(".py")]


def _is_stale(path: str, placed: dict[str, Row]) -> bool:
    """Whether *path* is a ``.pyc`` that belongs to a source; one without a source is a module of its own and stays."""
    if not path.endswith(".pyc"):
        return False
    return "/__pycache__/" in f"/{path}" or path.removesuffix("c") in placed


def _record(path: str, row: Row, content: Content) -> Recorded:
    if content.kind != "file":
        return Recorded(path, "softlink" if content.kind == "symlink" else "directory")
    return Recorded(
        path,
        "hardlink",
        row.sha256,
        content.sha256_in_prefix,
        size=content.size,
        placeholder=row.placeholder,
        file_mode=("binary" if row.binary else "text") if row.placeholder else "",
    )
