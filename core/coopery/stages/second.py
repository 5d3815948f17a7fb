"""Stage 2: the lock, then the layers, on the host, with no root, daemon or shell in the base.

Materializers run in the order that they ask for and hand on what they provide, so that pip sees what conda brought.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from coopery.errors import BaseError, PluginError
from coopery.events import Emit, StageFinished, StageStarted
from coopery.lock import Artifact, Lock
from coopery.materializer import Configuration, Materializer, Remaker, Section
from coopery.preflight import sections
from coopery.target import Facts, Provided, Resolved

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.definition import Environment
    from coopery.inside import Inside
    from coopery.layer import Tree


@frozen
class Contents:
    """What stage 2 puts into an image: trees to cut, what they change in the config, and what it all is.

    Attributes:
        lock: the one that was asked for; files that had to be made again may have another sha256 in it.
    """

    trees: tuple[Tree, ...]
    configuration: Configuration
    provided: Provided
    lock: Lock


OpenInside = Callable[["Lock", Callable[[], Contents]], "Inside"]
"""Makes what a section runs programs with, from the packages below it: their part of the lock, and their contents."""


@frozen
class Bench:
    """The materializers of one definition, in order. A context manager: at its end they are closed.

    Attributes:
        environment: the definition.
        materializers: in an order that each agrees with.
        emit: told of stages.
        key: of the build.
        release: called once they are closed: gives back what was lent to them.
        inside: lets them run programs in the image as far as it is made; None where no image is being made.
    """

    environment: Environment
    materializers: tuple[Materializer, ...]
    emit: Emit
    key: str
    release: Callable[[], None] = lambda: None
    inside: OpenInside | None = None

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_exc: object) -> None:
        for materializer in self.materializers:
            materializer.close()
        self.release()

    def resolve(self, target: Resolved, prefer: Lock | None = None) -> Lock:
        """Choose exact artifacts for every section.

        Args:
            target: the machine that will run the image.
            prefer: an older lock, to stay with where it still fits.

        Raises:
            ResolveError, PackageError: as the materializers do.
        """
        started = time.monotonic()
        self.emit(StageStarted(key=self.key, stage="lock", detail=", ".join(m.name for m in self.materializers)))
        artifacts: list[Artifact] = []
        provided = Provided()
        for number, materializer in enumerate(self.materializers):
            below = Lock(target.platform, target.base, target.used(), artifacts)
            section = self._section(materializer, prefer, self._inside(number, below, target))
            resolution = materializer.resolve(section, target, provided)
            artifacts += resolution.artifacts
            provided = resolution.provided
        lock = Lock(target.platform, target.base, target.used(), artifacts)
        detail = f"{len(artifacts)} packages"
        self.emit(StageFinished(key=self.key, stage="lock", seconds=time.monotonic() - started, detail=detail))
        return lock

    def contents(self, lock: Lock, target: Resolved) -> Contents:
        """Fetch the artifacts of *lock* and describe what they put below the prefix."""
        return self._contents(lock, target, len(self.materializers))

    def _contents(self, lock: Lock, target: Resolved, count: int) -> Contents:
        """Those of the first *count* materializers."""
        trees: list[Tree] = []
        known = {materializer.name for materializer in self.materializers[:count]}
        done = [artifact for artifact in lock.artifacts if artifact.kind not in known]
        configuration = Configuration()
        provided = Provided()
        for number, materializer in enumerate(self.materializers[:count]):
            below = evolve(lock, artifacts=done)
            section = self._section(materializer, None, self._inside(number, below, target))
            artifacts = lock.of_kind(materializer.name)
            if isinstance(materializer, Remaker):
                artifacts = materializer.remake(section, artifacts, target, provided)
            done += artifacts
            trees += materializer.trees(section, artifacts, target, provided)
            configuration = merge(configuration, materializer.environment(artifacts, target, provided))
            provided = materializer.provides(artifacts, target, provided)
        return Contents(tuple(trees), configuration, provided, evolve(lock, artifacts=done))

    def _inside(self, number: int, below: Lock, target: Resolved) -> Inside | None:
        """What the materializer with *number* runs programs with, on the packages *below*."""
        return self.inside(below, lambda: self._contents(below, target, number)) if self.inside is not None else None

    def unmet(
        self,
        lock: Lock,
        target: Resolved,
        before: Mapping[str, Any],
        now: Mapping[str, Any],
        *,
        same_ground: bool,
    ) -> tuple[str, ...]:
        """Why *lock* does not answer the definition, as its materializers see it; empty: it does.

        Args:
            lock: made from *before*.
            target: the machine that will run the image.
            before: name of a section → what it asked for, as plain data.
            now: the same of this definition.
            same_ground: *target* is the one that *lock* was made for, so that an unchanged section needs no look.
        """
        found: list[str] = []
        provided = Provided()
        for materializer in self.materializers:
            name, artifacts = materializer.name, lock.of_kind(materializer.name)
            if not same_ground or before.get(name) != now.get(name):
                section = evolve(self._section(materializer, None), asked=before.get(name))
                found += materializer.unmet(section, artifacts, target, provided)
            provided = materializer.provides(artifacts, target, provided)
        return tuple(found)

    def _section(self, materializer: Materializer, prefer: Lock | None, inside: Inside | None = None) -> Section:
        content = getattr(self.environment, materializer.name)
        before = prefer.of_kind(materializer.name) if prefer else ()
        return Section(content, self.environment.root, before, inside=inside)


def bench_of(builder: Builder, environment: Environment, key: str) -> Bench:
    """The materializers that *environment* needs, outside of a build."""
    workshop = builder.workshop(builder.emit)
    classes = builder.plugins_loaded.materializers(sections(environment))
    release = workshop.compilers.close
    return bench(environment, classes, lambda cls: cls(workshop), builder.emit, key, release)


def bench(
    environment: Environment,
    classes: Mapping[str, type[Materializer]],
    make: Callable[[type[Materializer]], Materializer],
    emit: Emit,
    key: str,
    release: Callable[[], None] = lambda: None,
    inside: OpenInside | None = None,
) -> Bench:
    """The materializers that *environment* needs, made by *make*, in an order that each agrees with."""
    wanted = {name: classes[name] for name in sections(environment)}
    return Bench(environment, tuple(make(cls) for cls in in_order(wanted)), emit, key, release, inside)


def in_order(classes: Mapping[str, type[Materializer]]) -> tuple[type[Materializer], ...]:
    """Sort materializers so that each comes after those it names in ``after``; ties by name.

    Raises:
        PluginError: they ask for a circle.
    """
    sorter = TopologicalSorter({name: [n for n in cls.after if n in classes] for name, cls in sorted(classes.items())})
    try:
        return tuple(classes[name] for name in sorter.static_order())
    except CycleError as exc:
        circle = " -> ".join(exc.args[1])
        raise PluginError(f"materializers ask to come after each other: {circle}") from exc


def check_prefix(facts: Facts, prefix: str) -> None:
    """Refuse a prefix that the base already fills.

    Raises:
        BaseError: something lives there.
    """
    if facts.prefix_occupied:
        where = facts.prefix or prefix
        raise BaseError(
            f"$.prefix: {where} exists in the base and is not empty",
            remedy="choose another prefix or base; to use the Python that is there, set python.user_managed",
        )


def merge(first: Configuration, second: Configuration) -> Configuration:
    """*second* over *first*: its variables win, its folders come behind on PATH."""
    return evolve(
        first,
        path=_unique((*first.path, *second.path)),
        env=tuple({**dict(first.env), **dict(second.env)}.items()),
        unset=_unique((*first.unset, *second.unset)),
        notes=(*first.notes, *second.notes),
        activate=_unique((*first.activate, *second.activate)),
    )


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
