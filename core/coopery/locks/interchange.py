"""Locks in from other tools' lock files, and out to them.

In: packages are taken as they are listed, completed by the materializers, and held against the definition: a solver
that is asked to stay with them, on the real target, must find nothing to change.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from coopery import key as _key
from coopery import lockfile, preflight
from coopery import target as _target
from coopery.errors import PluginError, ResolveError, UsageError
from coopery.events import Warned
from coopery.exchange import Exchange, Located
from coopery.formats import FORMS, Imported, Outline, Wanted, read, write
from coopery.lock import Artifact, Lock, Move
from coopery.lockfile import Locked, LockFile
from coopery.locks import fitting
from coopery.locks.relocking import Change, Relock
from coopery.materializer import Materializer, Section
from coopery.seal import seal
from coopery.stages import first, second
from coopery.stages.pointing import pointing
from coopery.target import Provided, Resolved

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.definition import Environment

_SHOWN: Final = 20


@frozen
class Pick:
    """Which packages of foreign files are wanted.

    Attributes:
        environment: the files' name for an environment, category or group; empty: their default.
        without: names of packages to leave out.
    """

    environment: str = ""
    without: frozenset[str] = frozenset()


def adopt(
    builder: Builder,
    environment: Environment,
    files: Sequence[str | os.PathLike[str]],
    pick: Pick,
    platforms: Sequence[str],
    path: Path | None,
) -> Relock:
    """See `coopery.build.Builder.adopt`."""
    if not fitting.has_packages(environment):
        raise UsageError("the definition has no packages, so there is nothing to lock")
    path = path or lockfile.beside(environment)
    there = lockfile.read(path) if path is not None and os.path.lexists(path) else None
    changes = []
    for platform in platforms or (environment.target.platform,):
        wanted = Wanted(platform, pick.environment, pick.without)
        imported = [read(file, wanted) for file in files]
        here = evolve(environment, target=evolve(environment.target, platform=platform))
        before = there.of(platform) if there is not None else None
        changes.append(Change(platform, before, _adopt(builder, here, imported)))
    after = (there or LockFile()).having(*(change.after for change in changes))
    return Relock(path, there, after, tuple(changes))


def _adopt(builder: Builder, environment: Environment, imported: Sequence[Imported]) -> Locked:
    _check_sections(environment, imported)
    preflight.check(environment, builder.backend_name, builder.plugins_loaded)
    builder.home.make()
    sealed = seal(environment)
    key = _key.compute(sealed)
    ground = first.lay(sealed, builder.backend(builder.emit), builder.emit, key, fresh=False)
    target = _target.of(environment, ground.facts, ground.base.digest)
    second.check_prefix(ground.facts, environment.prefix)
    with pointing(environment), second.bench_of(builder, environment, key) as bench:
        artifacts = _Intake(builder, environment, imported, target).artifacts(bench.materializers)
    lock = Lock(target.platform, target.base, target.used(), artifacts)
    return Locked(lock, lockfile.asked(_key.identity(sealed)))


def _check_sections(environment: Environment, imported: Sequence[Imported]) -> None:
    """Refuse packages that no section of the definition asks for."""
    sections = preflight.sections(environment)
    for file in imported:
        if others := sorted({package.kind for package in file.packages} - set(sections)):
            names = ", ".join(package.name for package in file.of_kind(others[0])[:_SHOWN])
            raise UsageError(
                f"{file.file} lists packages of {others[0]}, and the definition has no section {others[0]}: {names}",
                remedy=f"add the section {others[0]} with what is wanted, or leave these out, --without NAME",
            )


class _Intake:
    """Takes the packages of several files into one lock."""

    def __init__(
        self, builder: Builder, environment: Environment, imported: Sequence[Imported], target: Resolved
    ) -> None:
        self.builder = builder
        self.environment = environment
        self.imported = imported
        self.target = target
        self.shown = " and ".join(file.file for file in imported)

    def artifacts(self, materializers: Iterable[Materializer]) -> tuple[Artifact, ...]:
        """Everything, in the order of *materializers*, each seeing what came before."""
        found: list[Artifact] = []
        provided = Provided()
        for materializer in materializers:
            section = Section(getattr(self.environment, materializer.name), self.environment.root)
            taken = self._of(materializer, section, provided)
            found += taken
            provided = materializer.provides(taken, self.target, provided)
        return tuple(found)

    def _of(self, materializer: Materializer, section: Section, provided: Provided) -> tuple[Artifact, ...]:
        name = materializer.name
        if not any(name in file.kinds for file in self.imported):
            self._warn(f"no file lists packages of {name}, so these were resolved")
            return materializer.resolve(section, self.target, provided).artifacts
        listed = [package for file in self.imported for package in file.of_kind(name)]
        taken = exchange_of(materializer).complete(section, listed, self.target, provided)
        self._check(materializer, evolve(section, prefer=taken), provided)
        return taken

    def _check(self, materializer: Materializer, section: Section, provided: Provided) -> None:
        """See that a solver that stays with the packages wherever it can changes none and misses none.

        Nothing less tells: another tool solved for another machine, and people edit lists by hand.
        """
        reasons = materializer.unmet(section, section.prefer, self.target, provided)
        try:
            again = materializer.resolve(section, self.target, provided).artifacts
        except ResolveError as exc:
            raise self._refused(reasons, exc.explanation or exc.message) from exc
        moved = _moves(section.prefer, again)
        if needed := [move for move in moved if move.after is not None]:
            lines = [str(move) for move in needed[:_SHOWN]]
            raise self._refused(reasons, "what the definition asks for would be:\n" + "\n".join(lines))
        if moved:
            names = ", ".join(move.name for move in moved[:_SHOWN])
            self._warn(f"taken from {self.shown}, though nothing in the definition needs them: {names}")

    def _refused(self, reasons: Sequence[str], explanation: str) -> ResolveError:
        told = "".join(f"\n  {reason}" for reason in reasons[:_SHOWN])
        return ResolveError(
            f"the packages of {self.shown} do not answer the definition{told}",
            explanation=explanation,
            remedy="bring the definition and the file together, or resolve anew: coopery lock",
        )

    def _warn(self, message: str) -> None:
        self.builder.emit(Warned(message=message))


def _moves(before: Sequence[Artifact], after: Sequence[Artifact]) -> list[Move]:
    """By name, where the sha256 differs. Versions are spelt by tools as they like: only files tell."""
    old = {artifact.name: artifact for artifact in before}
    new = {artifact.name: artifact for artifact in after}
    pairs = ((name, old.get(name), new.get(name)) for name in sorted(old.keys() | new.keys()))
    return [
        Move((one or two).kind, name, one, two)  # type: ignore[union-attr]  # one of them is there
        for name, one, two in pairs
        if one is None or two is None or one.sha256 != two.sha256
    ]


def publish(builder: Builder, environment: Environment, lock: Lock, form: str, only: Sequence[str]) -> bytes:
    """See `coopery.build.Builder.publish`."""
    kinds = set(FORMS.get(form, ()))
    locked = {artifact.kind for artifact in lock.artifacts}
    if form in FORMS and not only and (others := sorted(locked - kinds)):
        raise UsageError(
            f"the format {form!r} has no room for packages of {' and '.join(others)}, and the lock has some",
            remedy=f"take a format that has, such as 'pixi', or write the rest of it: --only {min(kinds)}",
        )
    wanted = (kinds & set(only)) if only else kinds
    located: list[Located] = []
    urls: dict[str, tuple[str, ...]] = {}
    with second.bench_of(builder, environment, "") as bench:
        for materializer in bench.materializers:
            artifacts = lock.of_kind(materializer.name)
            if materializer.name in wanted and artifacts:
                exchange = exchange_of(materializer)
                section = Section(getattr(environment, materializer.name), environment.root)
                located += exchange.describe(section, artifacts)
                urls[materializer.name] = exchange.sources(section)
    python = next((artifact.version for artifact in lock.artifacts if artifact.name == "python"), "")
    outline = Outline(lock.platform, tuple(located), urls.get("conda", ()), urls.get("pip", ()), python)
    return write(form, outline)


def exchange_of(materializer: Materializer) -> Exchange:
    """*materializer* as one that can exchange.

    Raises:
        PluginError: it cannot.
    """
    if isinstance(materializer, Exchange):
        return materializer
    raise PluginError(
        f"the plugin for {materializer.name} cannot exchange packages with other tools' lock files",
        remedy="update the plugin, or resolve its packages: coopery lock",
    )
