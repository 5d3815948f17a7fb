"""One unpacked wheel in a prefix: which paths it has there, with which bytes and modes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from attrs import frozen

from coopery.bytecode import Compiled, Module
from coopery.errors import PackageError
from coopery.layer import Entry
from coopery.lock import Artifact, Built
from coopery_pip import record
from coopery_pip.code import GIT, SUBDIRECTORY, repository_of
from coopery_pip.entry_points import with_interpreter
from coopery_pip.layout import Layout
from coopery_pip.record import Line
from coopery_pip.unpacked import File, Unpacked

Compile = Callable[[Sequence[Module]], Sequence[Compiled]]

_INSTALLER: Final = b"coopery\n"
_MAX_SCRIPT: Final = 16 << 20
"""Bytes of a script that are looked at for ``#!python``; what is larger is a program."""


@frozen
class Installed:
    """One wheel, laid out alone.

    Attributes:
        artifact: as locked.
        unpacked: what is in it.
        layout: the prefix.
    """

    artifact: Artifact
    unpacked: Unpacked
    layout: Layout

    def paths(self, compiled: bool) -> Iterator[str]:
        """Every path that `entries` yields; where *compiled*, those of ``.pyc`` of modules that do not compile too."""
        placed = self._placed()
        yield from map(self._absolute, placed)
        yield from map(self._absolute, self._commands())
        yield from map(self._absolute, self._metadata())
        yield self._absolute(self._dist_info(record.NAME))
        if compiled:
            yield from (self._absolute(self.layout.python.compiled(path)) for path in self._modules(placed))

    def entries(self, compile: Compile | None = None) -> Iterator[Entry]:  # noqa: A002 - the verb that it is
        """All of it; RECORD comes last, since it lists the rest.

        Raises:
            PackageError: two of its files belong at one place.
        """
        lines: list[Line] = []
        placed = self._placed()
        for path, file in sorted(placed.items()):
            entry = self._file(path, file)
            changed = isinstance(entry.source, bytes)
            lines.append(_line(path, entry) if changed else Line(path, file.sha256, file.size))
            yield entry
        made = {path: (data, 0o755) for path, data in self._commands().items()}
        made |= {path: (data, 0o644) for path, data in self._metadata().items()}
        for path, (data, mode) in sorted(made.items()):
            entry = self._made(path, data, mode)
            lines.append(_line(path, entry))
            yield entry
        for one in compile(self._sources(placed)) if compile else ():
            lines.append(Line(one.path))
            yield Entry(self._absolute(one.path), source=one.source, size=one.size)
        own = self._dist_info(record.NAME)
        yield self._made(own, record.encode(lines, self.layout.python.site_packages, own), 0o644)

    def _placed(self) -> dict[str, File]:
        """Path in the prefix → file. A declared command comes before a script of its name that is packed, as in pip."""
        distribution = self.artifact.file_name.partition("-")[0]
        commands = {f"bin/{command.name}" for command in self.unpacked.commands}
        ours = {*self._metadata(), self._dist_info(record.NAME)}
        placed: dict[str, File] = {}
        for file in self.unpacked.files:
            path = self.layout.place(file.scheme, distribution, file.path)
            if file.scheme == "scripts" and path in commands:
                continue
            if path in placed or path in ours or path in commands:
                raise PackageError(self.artifact.file_name, f"{file.path!r}: two of its files belong at {path!r}")
            placed[path] = file
        return placed

    def _commands(self) -> dict[str, bytes]:
        return {f"bin/{c.name}": c.script(self.layout.interpreter) for c in self.unpacked.commands}

    def _metadata(self) -> dict[str, bytes]:
        """What an installer writes beside the wheel's own metadata."""
        found = {self._dist_info("INSTALLER"): _INSTALLER}
        if document := direct_url_document(self.artifact):
            found[self._dist_info("direct_url.json")] = document
        return found

    def _modules(self, placed: dict[str, File]) -> list[str]:
        below = f"{self.layout.python.library}/"
        return sorted(path for path in placed if path.startswith(below) and path.endswith(".py"))

    def _sources(self, placed: dict[str, File]) -> list[Module]:
        return [
            (path, f"{self.layout.prefix}/{path}", self.unpacked.source(placed[path])) for path in self._modules(placed)
        ]

    def _file(self, path: str, file: File) -> Entry:
        source: Path | bytes = self.unpacked.source(file)
        size, executable = file.size, file.executable
        if file.scheme == "scripts" and size <= _MAX_SCRIPT:
            old = self.unpacked.source(file).read_bytes()
            new = with_interpreter(old, self.layout.interpreter)
            executable = executable or new.startswith(b"#!")  # packed where there are no such rights
            source, size = (new, len(new)) if new != old else (source, size)
        return Entry(self._absolute(path), mode=0o755 if executable else 0o644, source=source, size=size)

    def _made(self, path: str, data: bytes, mode: int) -> Entry:
        return Entry(self._absolute(path), mode=mode, source=data, size=len(data))

    def _dist_info(self, name: str) -> str:
        return self.layout.place(self.unpacked.root, "", f"{self.unpacked.dist_info}/{name}")

    def _absolute(self, path: str) -> str:
        return f"{self.layout.prefix.strip('/')}/{path}"


def direct_url_document(artifact: Artifact) -> bytes:
    """What ``direct_url.json`` says: where a wheel was asked for by its URL, or built from a source that was.

    Empty where an index was asked. Source: "direct URL data structure" of the Python Packaging User Guide (PEP 610).
    """
    document: dict[str, Any] = {}
    if artifact.built is not None:
        document = _built_url(artifact.built)
    elif url := direct_url(artifact):
        document = {"archive_info": _hashes(artifact.sha256), "url": url}
    return json.dumps(document, sort_keys=True).encode() if document else b""


def _built_url(built: Built) -> dict[str, Any]:
    address, _, subdirectory = built.source.partition(SUBDIRECTORY)
    below = {"subdirectory": subdirectory} if subdirectory else {}
    if address.startswith(GIT):
        url, commit, _ = repository_of(address)
        return {"url": url, "vcs_info": {"vcs": "git", "commit_id": commit}, **below}
    if "://" in address:
        return {"url": address, "archive_info": _hashes(built.sha256), **below}
    return {}


def _hashes(sha256: str) -> dict[str, Any]:
    return {"hash": f"sha256={sha256}", "hashes": {"sha256": sha256}}


def direct_url(artifact: Artifact) -> str:
    """The URL of the wheel itself, where that was asked for and no index: PEP 610. Without a user; else empty.

    A path of the machine that resolved it is none: it would name something that the image does not have.
    """
    parts = urlsplit(artifact.source)
    if parts.scheme not in ("http", "https") or unquote(parts.path).rpartition("/")[2] != artifact.file_name:
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))


def _line(path: str, entry: Entry) -> Line:
    data = entry.source if isinstance(entry.source, bytes) else b""
    return Line(path, hashlib.sha256(data).hexdigest(), len(data))
