"""Wheels into trees: each unpacked once, laid out alone for one prefix, with ``.pyc`` files as any package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from coopery.backend import Workshop
from coopery.bytecode import BytecodeStore, key_of
from coopery.errors import BaseError
from coopery.events import Progress
from coopery.layer import Entry, Tree
from coopery.lock import Artifact
from coopery.materializer import Configuration
from coopery.target import Provided, Resolved
from coopery_pip import venv
from coopery_pip.identity import check_file_name
from coopery_pip.installed import Compile, Installed, direct_url, direct_url_document
from coopery_pip.layout import Layout, layout
from coopery_pip.unpacked import UnpackedWheels

RECIPE: Final = "coopery.pip.v1"
"""Raised whenever the same wheel would give other bytes."""

_WORKERS: Final = 2
"""Wheels unpacked at once. Inflating leaves other threads alone."""


def trees(
    workshop: Workshop, wheels: Sequence[tuple[Artifact, Path]], target: Resolved, provided: Provided
) -> Sequence[Tree]:
    """One tree for each of *wheels*, and one for the venv where nobody before pip brought a Python.

    Args:
        workshop: lends folders and compilers.
        wheels: with the files that they were fetched into, whose sha256 has been checked.
        target: the prefix, and the base's own Python.
        provided: by those who came before pip.

    Raises:
        PackageError: a wheel is damaged, hostile, or not what the lock says.
        BaseError: there is no Python, or its exact version cannot be told.
        StoreFull, CacheError: the disk refused.
    """
    for artifact, _ in wheels:
        check_file_name(artifact)
    kept = UnpackedWheels(workshop.home / "wheels", workshop.staging)
    made = [venv.tree(target, RECIPE)] if venv.is_needed(provided) else []
    where = layout(target, provided)
    if wheels and target.bytecode and not where.compiles:
        raise BaseError(
            f"modules must be compiled by exactly the base's Python; {target.facts.python} does not say which it is",
            remedy="set build.bytecode to false, or choose another base",
        )
    _unpack(workshop, kept, wheels)
    return (*made, *(_tree(workshop, kept, artifact, wheel, where, target.bytecode) for artifact, wheel in wheels))


def configuration(target: Resolved, provided: Provided) -> Configuration:
    """What wheels change in the image's config: nothing beside conda's; for a venv, what activating it sets."""
    return venv.configuration(target) if venv.is_needed(provided) else Configuration()


def _unpack(workshop: Workshop, kept: UnpackedWheels, wheels: Sequence[tuple[Artifact, Path]]) -> None:
    """Unpack what is not yet, the largest first."""
    missing = sorted((one for one in wheels if not kept.has(one[0])), key=lambda one: one[0].size, reverse=True)
    if not missing:
        return
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="unpack") as pool:
        futures = [(artifact, pool.submit(kept.listed, artifact, wheel)) for artifact, wheel in missing]
        try:
            for done, (artifact, future) in enumerate(futures, start=1):
                future.result()
                step = Progress(stage="layers", done=done, total=len(missing), unit="packages", item=str(artifact))
                workshop.emit(step)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _tree(
    workshop: Workshop, kept: UnpackedWheels, artifact: Artifact, wheel: Path, where: Layout, bytecode: bool
) -> Tree:
    identity = _identity(artifact, where, bytecode)

    def entries() -> Iterator[Entry]:
        installed = Installed(artifact, kept.checked(artifact, wheel), where)
        yield from installed.entries(_compiler(workshop, identity, where) if bytecode else None)

    def paths() -> Iterable[str]:
        return Installed(artifact, kept.listed(artifact, wheel), where).paths(compiled=bytecode)

    return Tree(name=str(artifact), package=artifact.name, identity=identity, paths=paths, entries=entries, floor=1)


def _identity(artifact: Artifact, where: Layout, bytecode: bool) -> tuple[tuple[str, str], ...]:
    """All that the tree's bytes depend on."""
    pairs = {
        "artifact": artifact.sha256,
        "file": artifact.file_name,
        "headers": where.headers,
        "interpreter": where.interpreter,
        "prefix": where.prefix,
        "recipe": RECIPE,
        "site-packages": where.python.site_packages,
    }
    if bytecode:
        pairs["bytecode"] = where.python.version
    if url := direct_url(artifact):
        pairs["direct url"] = url
    elif document := direct_url_document(artifact):
        pairs["direct url"] = document.decode()
    return tuple(sorted(pairs.items()))


def _compiler(workshop: Workshop, identity: tuple[tuple[str, str], ...], where: Layout) -> Compile:
    store = BytecodeStore(workshop.home / "bytecode", workshop.staging, lambda: workshop.compilers.of(where.python))
    key = key_of(*(text for pair in identity for text in pair))
    return lambda modules: store.compiled(key, modules, where.python)
