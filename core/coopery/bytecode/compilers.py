"""Finds, for one build, a Python that compiles exactly as the image's own would, and keeps it running."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from coopery import sharing
from coopery.errors import BuildError, PackageError

if TYPE_CHECKING:
    from coopery.bytecode.compiler import Compiler
    from coopery.bytecode.python import Python
    from coopery.bytecode.runtime import Closure, Runtime


class Compilers:
    """At most one compiler per Python version; made when the first module is to be compiled. Threads may share it.

    One build has one, in ``workshop.compilers``: who brings a Python offers it, and whoever has modules asks.

    Args:
        root: where interpreters are laid out, one folder each.
        staging: for half-made ones.
    """

    def __init__(self, root: Path, staging: Path) -> None:
        self._root, self._staging = root, staging
        self._lock = threading.Lock()
        self._offered: dict[str, list[Closure]] = {}
        self._made: dict[str, Compiler] = {}

    def offer(self, version: str, closure: Closure) -> None:
        """Name one more way to come by a Python of exactly *version*; asked only when there is no nearer one."""
        with self._lock:
            self._offered.setdefault(version, []).append(closure)

    def of(self, python: Python) -> Compiler:
        """A compiler of exactly *python*.

        Looked for in this order: the Python that we run in; ``pythonX.Y`` on PATH; each that was offered, laid out.

        Raises:
            PackageError: there is none.
        """
        from coopery.bytecode.compiler import Compiler

        with self._lock:
            if python.version not in self._made:
                empty = self._root / "empty"
                sharing.make_folders(empty)
                self._made[python.version] = Compiler(self._find(python), empty)
            return self._made[python.version]

    def close(self) -> None:
        """End the compiling processes. May be called twice."""
        with self._lock:
            made, self._made = self._made, {}
        for compiler in made.values():
            compiler.close()

    def _find(self, python: Python) -> tuple[str, ...]:
        from coopery.bytecode import interpreter

        for look in (interpreter.running, interpreter.installed):
            if (found := look(python)) is not None:
                return found
        trouble: list[str] = []
        for command in self._laid_out(python, trouble):
            if interpreter.is_it(command, python):
                return command
        why = f" ({'; '.join(trouble)})" if trouble else ""
        raise PackageError(
            f"python-{python.version}",
            f"modules must be compiled by exactly this version, and none of it runs on this machine{why}",
            remedy=f"put python{python.minor} of version {python.version} on PATH, or set build.bytecode to false",
        )

    def _laid_out(self, python: Python, trouble: list[str]) -> Iterator[tuple[str, ...]]:
        for closure in self._offered.get(python.version, ()):
            try:
                if (runtime := closure()) is not None:
                    yield runtime.command(self._lay_out(runtime))
            except (BuildError, FileExistsError) as exc:  # told together, once nothing else is left to try
                trouble.append(str(exc))

    def _lay_out(self, runtime: Runtime) -> Path:
        from coopery.bytecode import interpreter
        from coopery.bytecode.store import key_of
        from coopery.folders import adopt_folder, scratch

        folder = self._root / key_of(*runtime.identity)
        if not folder.is_dir():
            with scratch(self._staging, "python") as made:
                interpreter.lay_out(runtime.entries(), made / "root")
                adopt_folder(made / "root", folder)
        return folder
