"""The base's own Python as something that can be laid out and started on this machine, with its own C library."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from coopery import platform as _platform
from coopery.bytecode.runtime import Closure, Runtime
from coopery.digest import Digest
from coopery.facts import elf, find
from coopery.facts.libc import library_folders
from coopery.files import Files
from coopery.layer import Entry
from coopery.target import Facts

_MAX_FILE: Final = 256 << 20
"""Bytes of one program, library or module; the largest libpython has 60 MB."""

_MAX_DEPTH: Final = 12
_UNUSED: Final = frozenset(
    {"__pycache__", "dist-packages", "ensurepip", "idlelib", "lib2to3", "site-packages", "test", "tkinter"}
)
"""Folders of the standard library that compiling never imports, and what others put beside it."""


def closure(files: Callable[[], Files], facts: Facts, snapshot: Digest) -> Closure:
    """The Python that *facts* found in a snapshot, for a build that must compile with exactly its version.

    Args:
        files: gives sight of the snapshot; called when the closure is.
        facts: of the snapshot.
        snapshot: its identity.

    Returns:
        A closure, which gives None where the snapshot is for another platform than this machine's, or incomplete.
    """

    def runtime() -> Runtime | None:
        if facts.platform != _platform.of_host() or facts.python is None or facts.python_version is None:
            return None
        image = files()
        program = find(image, facts.python)
        return _Base(image, facts.platform, program.path, facts.python_version).runtime(snapshot) if program else None

    return runtime


class _Base:
    """One base whose Python of version *minor* is at *program*, its real path."""

    def __init__(self, files: Files, platform: str, program: str, minor: str) -> None:
        self._files, self._program = files, program
        self._library = program.rpartition("/")[0].rpartition("/")[0] + "/lib"
        self._modules = f"{self._library}/python{minor}"
        self._folders = (self._library, "/usr/local/lib", *library_folders(platform))

    def runtime(self, snapshot: Digest) -> Runtime:
        loader = self._file(elf.interpreter(self._files.read(self._program, elf.READ)) or "")
        libraries = self._libraries()
        folders = dict.fromkeys(path.rpartition("/")[0].lstrip("/") for path in libraries.values())
        return Runtime(
            identity=("base", snapshot, self._program),
            entries=lambda: self._entries(libraries, loader),
            program=self._program.lstrip("/"),
            loader=loader.lstrip("/"),
            libraries=tuple(folders),
        )

    def _entries(self, libraries: dict[str, str], loader: str) -> Iterator[Entry]:
        """The program, its loader, the libraries that it needs by the names that it needs them by, its modules."""
        for path in filter(None, (self._program, loader)):
            yield self._entry(path, path, 0o755)
        for name, path in libraries.items():
            yield self._entry(path, f"{path.rpartition('/')[0]}/{name}", 0o755)
        yield from self._below(self._modules, self._modules, 0)

    def _below(self, folder: str, shown: str, depth: int) -> Iterator[Entry]:
        real = find(self._files, folder)
        if real is None or depth > _MAX_DEPTH:
            return
        for name in self._files.listdir(real.path):
            found = find(self._files, f"{real.path}/{name}")
            if found is None or found.stat is None:
                continue
            if found.stat.kind == "directory" and name not in _UNUSED and not name.startswith("config-"):
                yield from self._below(found.path, f"{shown}/{name}", depth + 1)
            elif found.stat.kind == "file" and name.endswith((".py", ".so")):
                yield self._entry(found.path, f"{shown}/{name}", 0o644)

    def _libraries(self) -> dict[str, str]:
        """The libraries that the program needs, and those that they need: name → real path."""
        found: dict[str, str] = {}
        wanted = [self._program]
        while wanted:
            for name in elf.needed(self._files.read(wanted.pop(), _MAX_FILE)):
                paths = (self._file(f"{folder}/{name}") for folder in self._folders)
                path = next(filter(None, paths), "") if "/" not in name else ""
                if path and name not in found:
                    found[name] = path
                    wanted.append(path)
        return found

    def _file(self, path: str) -> str:
        """The real path of the file at *path*; empty when there is none."""
        found = find(self._files, path) if path else None
        return found.path if found is not None and found.stat is not None and found.stat.kind == "file" else ""

    def _entry(self, path: str, shown: str, mode: int) -> Entry:
        data = self._files.read(path, _MAX_FILE)
        return Entry(shown.lstrip("/"), mode=mode, source=data, size=len(data))
