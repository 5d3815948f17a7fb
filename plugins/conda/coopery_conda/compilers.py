"""Finds, for one build, a Python that compiles exactly as the image's own would, and keeps it running."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from coopery.errors import BuildError, PackageError
from coopery_conda import interpreter
from coopery_conda.bytecode import key_of
from coopery_conda.compiler import Compiler
from coopery_conda.files import adopt_folder, scratch
from coopery_conda.link import Linked
from coopery_conda.python import NAME, Python

Closure = Callable[[], Sequence[Linked]]
"""Gives packages for this machine's platform that a Python needs, dependencies first. May solve and fetch."""


class Compilers:
    """At most one compiler per Python version; made when the first module is to be compiled. Threads may share it.

    Args:
        root: where interpreters are laid out, one folder each.
        staging: for half-made ones.
    """

    def __init__(self, root: Path, staging: Path) -> None:
        self._root, self._staging = root, staging
        self._lock = threading.Lock()
        self._made: dict[Python, Compiler] = {}

    def of(self, python: Python, closures: Sequence[Closure]) -> Compiler:
        """A compiler of exactly *python*.

        Looked for in this order: the Python that we run in; ``pythonX.Y`` on PATH; each of *closures*, laid out.

        Raises:
            PackageError: there is none.
        """
        with self._lock:
            if python not in self._made:
                empty = self._root / "empty"
                empty.mkdir(parents=True, exist_ok=True)
                self._made[python] = Compiler(self._find(python, closures), empty)
            return self._made[python]

    def close(self) -> None:
        """End the compiling processes."""
        with self._lock:
            made, self._made = self._made, {}
        for compiler in made.values():
            compiler.close()

    def _find(self, python: Python, closures: Sequence[Closure]) -> Path:
        for look in (interpreter.running, interpreter.installed):
            if (found := look(python)) is not None:
                return found
        trouble: list[str] = []
        for path in self._laid_out(closures, python, trouble):
            if interpreter.is_it(path, python):
                return path
        why = f" ({'; '.join(trouble)})" if trouble else ""
        raise PackageError(
            f"{NAME}-{python.version}",
            f"modules must be compiled by exactly this version, and none of it runs on this machine{why}",
            remedy=f"put python{python.minor} of version {python.version} on PATH, or set build.bytecode to false",
        )

    def _laid_out(self, closures: Sequence[Closure], python: Python, trouble: list[str]) -> Iterator[Path]:
        for closure in closures:
            try:
                linked = closure()
                if linked:
                    yield self._lay_out(linked) / linked[-1].prefix.strip("/") / python.executable
            except (BuildError, FileExistsError) as exc:  # told together, once nothing else is left to try
                trouble.append(str(exc))

    def _lay_out(self, linked: Sequence[Linked]) -> Path:
        folder = self._root / key_of(*(one.artifact.sha256 for one in linked), linked[-1].prefix)
        if not folder.is_dir():
            with scratch(self._staging, "python") as made:
                interpreter.lay_out((entry for one in linked for entry in one.entries()), made / "root")
                adopt_folder(made / "root", folder)
        return folder
