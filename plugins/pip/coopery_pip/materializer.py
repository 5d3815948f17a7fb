"""The pip materializer: requirements into exact wheels, wheels into trees. See `docs/pip.md`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from attrs import evolve

from coopery.backend import Workshop
from coopery.errors import PackageError, ResolveError
from coopery.events import Stage, Warned
from coopery.exchange import Listed, Located
from coopery.home import Home
from coopery.layer import Tree
from coopery.lock import Artifact
from coopery.materializer import Configuration, Resolution, Section
from coopery.shelf import Shelf
from coopery.target import Distribution, Provided, Resolved
from coopery.wire.child_env import child_env
from coopery.wire.login import without_user
from coopery_pip import uv
from coopery_pip.access import Access
from coopery_pip.choose import KIND, Chooser
from coopery_pip.code import GIT, SUBDIRECTORY
from coopery_pip.cuda import newer
from coopery_pip.exchange import Desk
from coopery_pip.index import Indexes
from coopery_pip.machine import machine
from coopery_pip.requirement import Wanted, file_name, parse_all
from coopery_pip.resolve import Resolver
from coopery_pip.satisfied import Question, asked, unmet
from coopery_pip.sources import Source, sources
from coopery_pip.wheels import Meter, Wheels, in_parallel

if TYPE_CHECKING:
    from coopery.wire.http import Http
    from coopery_pip.bench import Bench


_REMOTE: Final = ("https://", "http://")


class PipMaterializer:
    """Wheels by uv, which only ever runs in a child process and builds nothing. Satisfies `coopery.materializer`."""

    name: ClassVar[str] = KIND
    after: ClassVar[tuple[str, ...]] = ("conda",)
    shelves: ClassVar[tuple[Shelf, ...]] = (
        Shelf("packages/pip", "packages", "artifact", fetched=True),
        Shelf("wheels", "unpacked wheels", "artifact", fetched=True),
        Shelf("packages/pip-sources", "sources of packages", fetched=True, own=True),
        Shelf("packages/pip-built", "findings about builds of packages", own=True),
        Shelf("packages/uv", "indexes of packages", names=r".+", fetched=True, own=True),
    )

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._urls: dict[str, str] = {}

    def resolve(self, section: Section, target: Resolved, provided: Provided) -> Resolution:
        """Choose exact wheels for *target*; see `coopery.materializer.Materializer.resolve`."""
        if not section.content.requirements:
            return Resolution((), self.provides((), target, provided))
        meter = self._meter("lock", 0)
        bench = self._bench(section, target, provided, meter)
        resolver = evolve(bench.resolver, builds=bench.builds if section.inside is not None else None)
        artifacts = resolver.resolve(section.content, bench.machine, provided.surveyed(), section.prefer, meter.step)
        for line in newer(artifacts, target.cuda):
            self._workshop.emit(Warned(message=line))
        return Resolution(artifacts, self.provides(artifacts, target, provided))

    def unmet(
        self, section: Section, artifacts: Sequence[Artifact], target: Resolved, provided: Provided
    ) -> tuple[str, ...]:
        """Why *artifacts* are not what *section* asks for; see the protocol."""
        try:
            here, before = machine(target, provided), asked(section.asked)
            return tuple(
                unmet(Question(section.content, before, artifacts, here, provided.distributions, section.root))
            )
        except ResolveError as exc:
            return (exc.message,)

    def provides(self, artifacts: Sequence[Artifact], target: Resolved, provided: Provided) -> Provided:
        """What was there, the wheels, and, where no other Python comes, the venv on the base's own. Pure."""
        from coopery_pip import venv

        before = provided if provided.python else venv.provides(target)
        found = (*before.distributions, *(Distribution(one.name, one.version) for one in artifacts))
        return evolve(before, distributions=found, survey=None)

    def trees(
        self, section: Section, artifacts: Sequence[Artifact], target: Resolved, provided: Provided
    ) -> Sequence[Tree]:
        """Fetch what is missing and describe every wheel, and the venv where there is one; see the protocol."""
        from coopery_pip import tree

        self._fetch(section, artifacts)
        return tree.trees(self._workshop, self._files(artifacts), target, provided)

    def remake(
        self, section: Section, artifacts: Sequence[Artifact], target: Resolved, provided: Provided
    ) -> tuple[Artifact, ...]:
        """Wheels that no index has, built again where they are not here; see `coopery.materializer.Remaker`."""
        built = {one for one in self._wheels.missing(artifacts) if one.built is not None}
        if not built:
            return tuple(artifacts)
        meter = self._meter("layers", 0)
        bench = self._bench(section, target, provided, meter)
        named = [one.source.removeprefix(GIT) for one in built]
        access = Access(self._sources(section), [url for url in named if url.startswith(_REMOTE)])
        builds = bench.builds(access)
        return tuple(builds.kept(one) if one in built else one for one in artifacts)

    def environment(
        self,
        artifacts: Sequence[Artifact],  # noqa: ARG002 - the protocol's; no wheel says anything of the config
        target: Resolved,
        provided: Provided,
    ) -> Configuration:
        """What the wheels change in the image's config; see the protocol."""
        from coopery_pip import tree

        return tree.configuration(target, provided)

    def complete(
        self, section: Section, listed: Sequence[Listed], target: Resolved, provided: Provided
    ) -> tuple[Artifact, ...]:
        """Wheels of packages that another tool's lock lists; see `coopery.exchange.Exchange`."""
        here = machine(target, provided)
        wanted = [one for one in parse_all(section.content.requirements) if one.applies(here.markers)]
        desk = self._desk(section, wanted)
        chooser = Chooser(here, desk.sources, desk.indexes, self._wheels, self._http, desk.login, self._urls)
        return desk.complete(listed, chooser, provided.surveyed())

    def describe(self, section: Section, artifacts: Sequence[Artifact]) -> tuple[Located, ...]:
        """What other tools want to read about *artifacts*; see `coopery.exchange.Exchange`."""
        desk = self._desk(section, ())
        urls = in_parallel(lambda one: _located(_listed(one), desk.sources, desk.indexes, self._urls), artifacts)
        return desk.describe(artifacts, dict(zip(artifacts, urls, strict=True)))

    def sources(self, section: Section) -> tuple[str, ...]:
        """URLs of the indexes, the main one first; see `coopery.exchange.Exchange`."""
        indexes = [one for one in self._sources(section) if one.kind == "index"]
        return tuple(without_user(one.url) for one in (*indexes[-1:], *indexes[:-1]))

    def close(self) -> None:
        """End its connections."""
        if "_http" in self.__dict__:
            self._http.close()

    def locate(self, section: Section, artifact: Artifact) -> str:
        """Where *artifact* can be fetched now: its index is asked.

        Raises:
            PackageError: the source that the lock names does not list it.
            NetworkError: the source does not answer.
        """
        found = self._sources(section)
        return _located(artifact, found, Indexes(self._http, Access(found)), self._urls)

    @cached_property
    def _http(self) -> Http:
        from coopery.wire import Http

        return Http(self._workshop.settings, emit=self._workshop.emit)

    @property
    def _wheels(self) -> Wheels:
        return Wheels(self._workshop.home / "packages" / "pip", self._workshop.staging, self._http)

    def _desk(self, section: Section, wanted: Sequence[Wanted]) -> Desk:
        found = self._sources(section)
        access = Access(found, [one.asked_url for one in wanted if one.asked_url])
        return Desk(wanted, found, Indexes(self._http, access), self._wheels, access)

    def _meter(self, stage: Stage, total: int) -> Meter:
        return Meter(self._workshop.emit, stage, total)

    def _sources(self, section: Section) -> tuple[Source, ...]:
        return sources(section.content, section.root, self._workshop.settings)

    def _resolver(self, found: Sequence[Source]) -> Resolver:
        cache = Home(self._workshop.home).own / "packages" / "uv"
        solver = uv.Uv(uv.find(), cache, child_env(self._workshop.settings))
        return Resolver(solver, self._wheels, self._workshop.staging, self._http, found, self._urls)

    def _bench(self, section: Section, target: Resolved, provided: Provided, meter: Meter) -> Bench:
        from coopery_pip.bench import Bench  # not before something is resolved

        found = self._sources(section)

        def find(artifact: Artifact, access: Access) -> str:
            return _located(_listed(artifact), found, Indexes(self._http, access), {})

        return Bench(
            self._workshop,
            section,
            target,
            provided.interpreter or target.facts.python or "",
            machine(target, provided),
            self._resolver(found),
            find,
            lambda tools: self._fetch(section, tools),
            meter.step,
        )

    def _fetch(self, section: Section, artifacts: Sequence[Artifact]) -> None:
        missing = self._wheels.missing(artifacts)
        if not missing:
            return
        found = self._sources(section)
        access = Access(found, [one.source for one in missing if one.source.startswith(_REMOTE)])
        indexes = Indexes(self._http, access)
        meter = self._meter("layers", sum(artifact.size for artifact in missing))
        self._wheels.fetch_all(missing, lambda one: _located(one, found, indexes, self._urls), access, meter.step)

    def _files(self, artifacts: Sequence[Artifact]) -> list[tuple[Artifact, Path]]:
        return [(artifact, self._wheels.path(artifact.sha256)) for artifact in artifacts]


def _listed(artifact: Artifact) -> Artifact:
    """What an index, or a URL, has of *artifact*: its source, where it is built from one."""
    built = artifact.built
    if built is None:
        return artifact
    address = built.source.partition(SUBDIRECTORY)[0]
    if "://" in address:
        return evolve(artifact, source=address, file_name=file_name(address), sha256=built.sha256, built=None)
    return evolve(artifact, file_name=address, sha256=built.sha256, built=None)


def _located(artifact: Artifact, found: Sequence[Source], indexes: Indexes, urls: dict[str, str]) -> str:
    if artifact.sha256 in urls:
        return urls[artifact.sha256]
    if artifact.built is not None:
        raise PackageError(
            artifact.file_name, f"is built from {artifact.built.source}, and was taken away while it was needed"
        )
    source = next((one for one in found if one.name == artifact.source), None)
    if source is None:
        if artifact.source.startswith(GIT):
            return artifact.source
        if artifact.source.startswith(_REMOTE) and file_name(artifact.source) == artifact.file_name:
            return artifact.source
        raise PackageError(artifact.file_name, f"comes from {artifact.source}, which the definition does not name")
    listed = [link for link in indexes.links(source, artifact.name) if link.file_name == artifact.file_name]
    same = [link for link in listed if link.sha256 in ("", artifact.sha256)]
    if same:
        return same[0].url
    if listed:
        raise PackageError(
            artifact.file_name,
            f"expected sha256 {artifact.sha256}, and {artifact.source} lists it with {listed[0].sha256}",
            remedy="lock again if that is meant, or ask whoever runs the index",
        )
    raise PackageError(
        artifact.file_name, f"{artifact.source} does not list it (any more)", remedy="lock again to move to another"
    )
