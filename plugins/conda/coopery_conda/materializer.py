"""The conda materializer: match specs into exact packages, packages into trees. See `docs/conda.md`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar, Final

from attrs import evolve

from coopery import platform as _platform
from coopery.backend import Workshop
from coopery.bytecode import BytecodeStore, Compiled, Module, Python, Runtime, key_of
from coopery.definition import Conda, Target
from coopery.events import Progress, Stage
from coopery.exchange import Listed, Located
from coopery.home import Home
from coopery.layer import Entry, Tree
from coopery.lock import Artifact
from coopery.materializer import Configuration, Resolution, Section
from coopery.shelf import Shelf
from coopery.target import Distribution, Facts, Provided, Resolved
from coopery.target import resolve as resolve_target
from coopery.wire.child_env import child_env
from coopery.wire.login import Logins
from coopery_conda import activation, channels, history
from coopery_conda import solve as solving
from coopery_conda.distributions import distributions
from coopery_conda.exchange import Desk
from coopery_conda.fetch import Packages
from coopery_conda.link import Linked
from coopery_conda.process import Ask
from coopery_conda.python import NAME as PYTHON
from coopery_conda.python import python_of
from coopery_conda.rank import ranks
from coopery_conda.unmet import unmet
from coopery_conda.workers import Workers

RECIPE: Final = "coopery.conda.v1"
"""Raised whenever the same package would give other bytes."""

_SITE_PACKAGES: Final = re.compile(r"lib/python\d+\.\d+t?/site-packages")
_FOR_PYTHON: Final = re.compile(r"(?:^|_)py(?:\d|h|_|$)")  # build strings: py311h64a7726_0, pyhd8ed1ab_0


class CondaMaterializer:
    """Conda packages by py-rattler, which only ever runs in a child process. Satisfies `coopery.materializer`."""

    name: ClassVar[str] = solving.KIND
    after: ClassVar[tuple[str, ...]] = ()
    shelves: ClassVar[tuple[Shelf, ...]] = (
        Shelf("packages", "packages", "artifact", fetched=True),
        Shelf("repodata", "indexes of channels", names=r"[^.].*", fetched=True, own=True),
    )

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._section = Section(Conda())  # the last one seen: its root is where paths of channels start from
        self._workers = Workers(Home(workshop.home).own / "repodata", child_env(workshop.settings))
        self._logins = Logins()
        self._packages = Packages(workshop.home / "packages", workshop.staging, logins=self._logins)

    def resolve(self, section: Section, target: Resolved, provided: Provided) -> Resolution:
        """Choose exact packages for *target*; see `coopery.materializer.Materializer.resolve`."""
        self._section = section
        artifacts = self._solve(section, target)
        return Resolution(artifacts, self.provides(artifacts, target, provided))

    def unmet(
        self,
        section: Section,
        artifacts: Sequence[Artifact],
        target: Resolved,
        provided: Provided,  # noqa: ARG002 - the protocol's; conda needs nothing of what came before
    ) -> tuple[str, ...]:
        """Why locked packages are not what *section* asks for; see the protocol."""
        return tuple(unmet(section, artifacts, target, self._ask("lock", 0)))

    def provides(self, artifacts: Sequence[Artifact], target: Resolved, provided: Provided) -> Provided:
        """The Python among *artifacts* and the names of what is built for it. Pure."""
        python = python_of(artifacts)
        if python is None:
            return provided
        found = (Distribution(a.name, a.version) for a in artifacts if _FOR_PYTHON.search(a.build) and a.name != PYTHON)
        return Provided(
            python=python.version,
            interpreter=f"{target.prefix}/{python.executable}",
            site_packages=f"{target.prefix}/{python.site_packages}",
            distributions=(*provided.distributions, *found),
            survey=partial(self._survey, tuple(artifacts), provided),
        )

    def trees(
        self,
        section: Section,
        artifacts: Sequence[Artifact],
        target: Resolved,
        provided: Provided,  # noqa: ARG002 - the protocol's; conda needs nothing of what came before
    ) -> Sequence[Tree]:
        """Fetch what is missing and describe every package, and the history; see the protocol."""
        self._section = section
        self._fetch(section, artifacts, "layers")
        self._workers.close()
        linked = self._linked(artifacts, target.prefix)
        places = _ranks(linked)
        self._offer_python(section, linked, target)
        trees = [self._tree(one, target, places[one.artifact.name]) for one in linked]
        return (*trees, history.tree(target.prefix, RECIPE, len(linked)))

    def environment(
        self,
        artifacts: Sequence[Artifact],
        target: Resolved,
        provided: Provided,  # noqa: ARG002 - as above
    ) -> Configuration:
        """PATH, CONDA_PREFIX, packages' variables, and what was not run; see the protocol."""
        linked = self._linked(artifacts, target.prefix)
        return activation.configuration(linked, target.prefix, python_of(artifacts), _ranks(linked))

    def complete(
        self,
        section: Section,
        listed: Sequence[Listed],
        target: Resolved,  # noqa: ARG002 - the protocol's: another tool has solved for it
        provided: Provided,  # noqa: ARG002 - as above
    ) -> tuple[Artifact, ...]:
        """Artifacts of packages that another tool's lock lists; see `coopery.exchange.Exchange`."""
        return self._desk(section).complete(listed)

    def describe(self, section: Section, artifacts: Sequence[Artifact]) -> tuple[Located, ...]:
        """What other tools want to read about *artifacts*; see `coopery.exchange.Exchange`."""
        return self._desk(section).describe(artifacts)

    def sources(self, section: Section) -> tuple[str, ...]:
        """URLs of the channels; see `coopery.exchange.Exchange`."""
        return self._desk(section).channel_urls()

    def close(self) -> None:
        """End the processes that it started. They also end with it, and with this process."""
        self._workers.close()

    def _solve(self, section: Section, target: Resolved) -> tuple[Artifact, ...]:
        if not section.content.dependencies:
            return ()
        question = solving.question(
            section.content, section.root, self._workshop.settings, target, section.prefer, self._logins
        )
        return solving.solve(question, self._ask("lock", 0))

    def _survey(self, artifacts: Sequence[Artifact], provided: Provided) -> tuple[Distribution, ...]:
        """What *artifacts* bring, by their own metadata. They are fetched: they are about to be needed anyway."""
        self._fetch(self._section, artifacts, "lock")
        found = set(provided.surveyed())
        for artifact in artifacts:
            with self._packages.guarding(artifact):
                found.update(distributions(self._packages.package(artifact)))
        return tuple(sorted(found, key=lambda one: (one.name.lower(), one.version)))

    def _fetch(self, section: Section, artifacts: Sequence[Artifact], stage: Stage) -> None:
        missing = self._packages.missing(artifacts)
        if missing:
            self._packages.fetch(missing, self._urls(section, missing), self._ask(stage, sum(a.size for a in missing)))

    def _urls(self, section: Section, artifacts: Sequence[Artifact]) -> dict[str, str]:
        """Source → URL. Credentials stand in a channel of the definition only, never in the lock."""
        specs = map(channels.spec, section.content.dependencies)
        named = {channels.public(name): name for name in channels.all_channels(section.content.channels, specs)}
        sources = {artifact.source for artifact in artifacts}
        url_of = partial(channels.url_of, root=section.root, settings=self._workshop.settings)
        return {source: url_of(named.get(source, source)) for source in sources}

    def _desk(self, section: Section) -> Desk:
        return Desk(section.content, section.root, self._workshop.settings, self._logins, self._ask("lock", 0))

    def _ask(self, stage: Stage, total: int) -> Ask:
        meter = _Meter(self._workshop, stage, total)
        return lambda request: self._workers.ask(request, meter.step)

    def _linked(self, artifacts: Sequence[Artifact], prefix: str) -> tuple[Linked, ...]:
        """*artifacts*, fetched already, each to be linked alone."""
        summaries = {artifact: self._packages.summary(artifact) for artifact in artifacts}
        python = python_of(artifacts)
        for artifact, summary in summaries.items():
            if python is not None and artifact.name == PYTHON and summary.site_packages:
                if not _SITE_PACKAGES.fullmatch(summary.site_packages):
                    package = self._packages.package(artifact)
                    raise package.error(f"says that packages go to {summary.site_packages!a}")
                python = evolve(python, site_packages=summary.site_packages)
        return tuple(
            Linked(
                artifact=artifact,
                package=self._packages.package(artifact),
                summary=summary,
                prefix=prefix,
                python=python,
                verify=artifact.sha256 not in self._packages.fresh,
            )
            for artifact, summary in summaries.items()
        )

    def _tree(self, linked: Linked, target: Resolved, rank: int) -> Tree:
        python = linked.python if target.bytecode and _has_modules(linked) else None
        identity = _identity(linked, python)

        def entries() -> Iterator[Entry]:
            with self._packages.guarding(linked.artifact):
                yield from linked.entries(self._compile(identity, python) if python else None)

        def paths() -> Iterator[str]:
            with self._packages.guarding(linked.artifact):
                yield from linked.paths(compiled=python is not None)

        return Tree(
            name=str(linked.artifact),
            package=linked.artifact.name,
            identity=identity,
            paths=paths,
            entries=entries,
            rank=rank,
        )

    def _compile(
        self, identity: tuple[tuple[str, str], ...], python: Python
    ) -> Callable[[Sequence[Module]], tuple[Compiled, ...]]:
        home, staging = self._workshop.home, self._workshop.staging
        store = BytecodeStore(home / "bytecode", staging, lambda: self._workshop.compilers.of(python))
        key = key_of(*(text for pair in identity for text in pair))
        return lambda modules: store.compiled(key, modules, python)

    def _offer_python(self, section: Section, linked: Sequence[Linked], target: Resolved) -> None:
        """Where a Python for compiling may come from: the lock, if it is for this machine, else the same channels."""
        python = next((one.python for one in linked if one.python), None)
        if python is None:
            return
        if target.platform == _platform.of_host():
            closure = partial(_runtime, linked)
        else:
            closure = partial(self._foreign_python, section, python, target)
        self._workshop.compilers.offer(python.version, closure)

    def _foreign_python(self, section: Section, python: Python, target: Resolved) -> Runtime | None:
        """The same Python for this machine. Bytecode depends on its version alone, so it is no part of the lock."""
        if channels.host_subdir() is None:
            return None
        wanted = f"{PYTHON} =={python.version}"
        content = Conda(section.content.channels, (wanted,))
        here = evolve(section, content=content, prefer=())
        artifacts = self._solve(here, _this_machine(target))
        self._fetch(here, artifacts, "layers")
        return _runtime(self._linked(artifacts, target.prefix))


class _Meter:
    """Turns a worker's progress into events. Total 0: unknown."""

    def __init__(self, workshop: Workshop, stage: Stage, total: int) -> None:
        self._workshop, self._stage, self._total = workshop, stage, total
        self._done = 0

    def step(self, progress: dict[str, Any]) -> None:
        """Some bytes more."""
        self._done += int(progress["bytes"])
        event = Progress(
            stage=self._stage, done=self._done, total=self._total, unit="bytes", item=str(progress.get("item", ""))
        )
        self._workshop.emit(event)


def _has_modules(linked: Linked) -> bool:
    """Whether the package brings modules of the environment's Python."""
    python, summary = linked.python, linked.summary
    return python is not None and (summary.noarch == "python" or python.library in summary.libraries)


def _identity(linked: Linked, compiled: Python | None) -> tuple[tuple[str, str], ...]:
    """All that the tree's bytes depend on, and no more: zlib is the same under every Python."""
    pairs = {
        "artifact": linked.artifact.sha256,
        "channel": channels.canonical_url(linked.artifact.source),
        "file": f"{linked.artifact.subdir}/{linked.artifact.file_name}",
        "prefix": linked.prefix,
        "recipe": RECIPE,
    }
    if linked.summary.noarch == "python" and linked.python is not None:
        pairs |= {"python": linked.python.minor, "site-packages": linked.python.site_packages}
    if compiled is not None:
        pairs |= {"bytecode": compiled.version, "site-packages": compiled.site_packages}
    return tuple(sorted(pairs.items()))


def _ranks(linked: Sequence[Linked]) -> dict[str, int]:
    depends = {one.artifact.name: one.summary.depends for one in linked}
    return ranks(depends, [one.artifact.name for one in linked if one.summary.noarch])


def _runtime(linked: Sequence[Linked]) -> Runtime | None:
    """The Python among *linked* with all that it needs."""
    needed = _needed_by_python(linked)
    if not needed or (python := needed[-1].python) is None:
        return None
    prefix = needed[-1].prefix
    return Runtime(
        identity=(*(one.artifact.sha256 for one in needed), prefix),
        entries=lambda: (entry for one in needed for entry in one.entries()),
        program=f"{prefix.strip('/')}/{python.executable}",
    )


def _needed_by_python(linked: Sequence[Linked]) -> tuple[Linked, ...]:
    """Python and what it depends on, lowest rank first."""
    by_name = {one.artifact.name: one for one in linked}
    wanted, found = [PYTHON], set[str]()
    while wanted:
        name = wanted.pop()
        if name in by_name and name not in found:
            found.add(name)
            wanted += by_name[name].summary.depends
    places = _ranks(linked)
    return tuple(by_name[name] for name in sorted(found, key=places.__getitem__))


def _this_machine(target: Resolved) -> Resolved:
    """A target for programs that run here: only to compile, so the facts stated are this machine's own."""
    known = "CS_GNU_LIBC_VERSION" in os.confstr_names
    library = (os.confstr("CS_GNU_LIBC_VERSION") if known else None) or ""
    here = Target(platform=_platform.of_host(), glibc=library.removeprefix("glibc ") or None)
    return resolve_target(here, Facts(platform=here.platform), target.base, target.prefix, bytecode=False)
