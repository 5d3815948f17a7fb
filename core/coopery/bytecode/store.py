"""The ``.pyc`` files of one package, kept as long as nothing that they depend on changes.

A layer is cut again when its neighbours in a shared layer change; compiling again then would cost seconds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from attrs import frozen

from coopery import use
from coopery.bytecode.compiler import Compiler, Job
from coopery.bytecode.python import Python
from coopery.folders import adopt_folder, scratch, set_aside

Module = tuple[str, str, Path | bytes]
"""Path in the prefix, path in the image, and the source: a file on this machine or its bytes."""

_INDEX: Final = "index.json"


@frozen
class Compiled:
    """One ``.pyc``: its path in the prefix and the file that has its bytes."""

    path: str
    source: Path
    size: int
    sha256: str


@frozen
class BytecodeStore:
    """Compiled packages in *root*, by a key that names everything their bytes depend on.

    Attributes:
        root: one folder per key.
        staging: for half-made ones.
        compiler: gives a compiler of exactly the wanted Python; called only when there is something to compile.
    """

    root: Path
    staging: Path
    compiler: Callable[[], Compiler]

    def compiled(self, key: str, modules: Sequence[Module], python: Python) -> tuple[Compiled, ...]:
        """The ``.pyc`` files of *modules*, in their order; those that do not compile are left out.

        Raises:
            CompileError: the compiling process died or hung.
            StoreFull, CacheError: the disk refused.
        """
        folder = self.root / key
        if (kept := _kept(folder)) is not None:
            use.mark(folder, self.staging)
            return kept
        if folder.exists():
            set_aside(folder, self.staging)
        with scratch(self.staging, "bytecode") as made:
            jobs = [Job(name, source, made / f"{n}.pyc") for n, (_, name, source) in enumerate(modules)]
            answers = self.compiler().compile(jobs)
            rows = [
                (python.compiled(module[0]), job.out.name, answer.size, answer.sha256)
                for module, job, answer in zip(modules, jobs, answers, strict=True)
                if answer.size >= 0
            ]
            (made / _INDEX).write_text(json.dumps(rows), encoding="utf-8")
            adopt_folder(made, folder)
        return tuple(Compiled(path, folder / name, size, sha256) for path, name, size, sha256 in rows)


def key_of(*parts: str) -> str:
    """A folder's name for *parts*, length-framed so that no two lists of parts meet."""
    framed = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(framed.encode()).hexdigest()


def _kept(folder: Path) -> tuple[Compiled, ...] | None:
    """What an earlier build left in *folder*, checked byte for byte; None when it is absent or damaged."""
    try:
        rows = json.loads((folder / _INDEX).read_bytes())
        found = tuple(Compiled(path, folder / name, size, sha256) for path, name, size, sha256 in rows)
        sound = all(hashlib.sha256(one.source.read_bytes()).hexdigest() == one.sha256 for one in found)
    except (OSError, ValueError, TypeError):
        return None
    return found if sound else None
