"""Requirements into exact wheels: what is asked, what conda has brought, what uv finds, which files these are."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Final

from attrs import evolve, field, frozen
from packaging.utils import canonicalize_name

from coopery import sharing
from coopery.blobs import disk_error
from coopery.definition import Pip
from coopery.errors import NetworkError, ResolveError
from coopery.lock import Artifact
from coopery.target import Distribution
from coopery_pip import pylock, stubs
from coopery_pip import uv as _uv
from coopery_pip.access import Access
from coopery_pip.choose import KIND, Chooser, rank, version_of
from coopery_pip.diagnose import explain
from coopery_pip.index import Indexes
from coopery_pip.machine import Machine
from coopery_pip.pylock import Package
from coopery_pip.requirement import Wanted, parse_all
from coopery_pip.sources import Source
from coopery_pip.unbuilt import Unbuilt, kept_names
from coopery_pip.wheels import Step, Wheels, in_parallel

if TYPE_CHECKING:
    from coopery.wire.http import Http
    from coopery_pip.builds import Builds

_WITH_A_BUILD: Final = "lock it with a build (coopery lock), on a backend that runs steps; or name a wheel"


@frozen
class Resolver:
    """Resolves one section.

    Attributes:
        uv: the solver.
        wheels: where files go that must be read to be known.
        staging: for the files that uv reads and writes.
        http: core's transport.
        sources: where wheels may come from, in order.
        urls: sha256 → where that file is now; filled here.
        builds: makes wheels of sources, given how their hosts are asked; None where only wheels are taken.
    """

    uv: _uv.Uv
    wheels: Wheels
    staging: Path
    http: Http = field(repr=False)
    sources: Sequence[Source]
    urls: dict[str, str] = field(factory=dict, repr=False)
    builds: Callable[[Access], Builds] | None = field(default=None, repr=False)

    def resolve(
        self,
        content: Pip,
        machine: Machine,
        conda: Sequence[Distribution],
        prefer: Sequence[Artifact],
        step: Step,
        environ: Mapping[str, str] = os.environ,
    ) -> tuple[Artifact, ...]:
        """Exact wheels for *content*, beside those distributions that *conda* brings.

        Args:
            content: the section.
            machine: what the wheels must run on.
            conda: what is there already, and stays.
            prefer: artifacts of an older lock, to stay with where they fit.
            step: told of every piece that is fetched.
            environ: of this process; uv is given little of it.

        Raises:
            ResolveError: nothing satisfies it.
            NetworkError, PackageError: a source or a file cannot be had.
        """
        wanted = [one for one in parse_all(content.requirements) if one.applies(machine.markers)]
        constraints = [one for one in parse_all(content.constraints) if one.applies(machine.markers)]
        if not wanted:
            return ()
        check_against(conda, [one for one in wanted if not one.guessed])
        access = Access(self.sources, [one.asked_url for one in (*wanted, *constraints) if one.asked_url])
        indexes = Indexes(self.http, access)
        builds = self.builds(access) if self.builds is not None else None
        built = self._built([*wanted, *constraints], builds)
        wanted, constraints = _settled(wanted, built), _settled(constraints, built)
        check_against(conda, wanted)
        direct = self._direct([*wanted, *constraints], built, machine, access, step)
        with self._scratch() as folder:
            names = _linked(direct, self.wheels, folder)
            question = _uv.Question(
                folder,
                [_line(one, names) for one in wanted],
                [*(_line(one, names) for one in constraints), *stubs.write(conda, folder / "stubs")],
                self.sources,
                machine,
                content.pre,
            )
            if prefer:
                pylock.write(prefer, question.output)
            unbuilt = Unbuilt(content, wanted, machine, self.sources, indexes, self.wheels, builds, folder)
            unbuilt.show(kept_names(prefer, self.sources))
            packages = self._packages(question, unbuilt, access, environ, conda)
        chooser = Chooser(machine, self.sources, indexes, self.wheels, self.http, access, self.urls)
        named = {one.name: one for one in (*constraints, *wanted) if one.hashes}
        made = [artifact for package in packages if (artifact := unbuilt.of(package)) is not None]
        listed = [package for package in packages if not package.direct and unbuilt.of(package) is None]
        chosen = chooser.artifacts(listed, named, prefer)
        return tuple(
            sorted((*chosen, *made, *(direct[package.name] for package in packages if package.name in direct)))
        )

    def _packages(
        self,
        question: _uv.Question,
        unbuilt: Unbuilt,
        access: Access,
        environ: Mapping[str, str],
        conda: Sequence[Distribution],
    ) -> tuple[Package, ...]:
        """What uv chooses, once everything of it that had to be built is."""
        while True:
            asked = evolve(
                question,
                sources=(*unbuilt.shown, *question.sources),
                constraints=[*question.constraints, *unbuilt.constraints],
            )
            try:
                packages = self._asked(asked, access, environ, unbuilt.wanted, unbuilt.indexes)
            except _uv.Unsatisfiable as exc:
                if unbuilt.widen(exc.explanation):
                    continue
                machine, indexes = question.machine, unbuilt.indexes
                raise explain(unbuilt.wanted, exc.explanation, conda, machine, self.sources, indexes) from exc
            if not unbuilt.build(packages):
                return packages

    def _asked(
        self,
        question: _uv.Question,
        access: Access,
        environ: Mapping[str, str],
        wanted: Sequence[Wanted],
        indexes: Indexes,
    ) -> tuple[Package, ...]:
        try:
            self.uv.compile(question, access, environ)
            return pylock.read(question.output)
        except _uv.UvError as exc:
            self._probe(wanted, indexes)
            raise ResolveError(f"uv could not resolve the pip packages: {exc.message}") from exc
        except (OSError, ValueError) as exc:
            raise ResolveError(f"uv's answer cannot be read: {exc}") from exc

    def _probe(self, wanted: Sequence[Wanted], indexes: Indexes) -> None:
        """Ask every source ourselves: where one does not answer, that is what is wrong, and is said with its name."""
        for source in self.sources:
            indexes.links(source, wanted[0].name)

    def _built(self, wanted: Sequence[Wanted], builds: Builds | None) -> dict[str, Artifact]:
        """URL of a source that is named → the wheel that was made of it."""
        sources = {one.url: one for one in wanted if one.is_source}
        if sources and builds is None:
            texts = [one.text for one in sources.values()]
            message = f"{', '.join(texts)}: must be built from source, and nothing can be built here"
            raise ResolveError(message, remedy=_WITH_A_BUILD, requirements=texts)
        return {url: builds.direct(one) for url, one in sources.items()} if builds is not None else {}

    def _direct(
        self,
        wanted: Sequence[Wanted],
        built: Mapping[str, Artifact],
        machine: Machine,
        access: Access,
        step: Step,
    ) -> dict[str, Artifact]:
        """Normalized name → the wheel that a URL names, fetched: its hash and metadata are known only then."""
        named = {one.name: one for one in wanted if one.url}
        for one in wanted:
            if one.url and one.url != named[one.name].url:
                message = f"two URLs are asked for as {one.name}: {one.url} and {named[one.name].url}"
                raise ResolveError(message, requirements=[one.text, named[one.name].text])

        def fetch(one: Wanted) -> Artifact:
            if one.url in built:
                return built[one.url]
            if rank(machine, one.file_name) is None:
                message = f"{one.public}: that wheel does not run on {machine.words}"
                raise ResolveError(message, requirements=[one.text])
            sha256, size = self._fetched(one, access, step)
            self.urls[sha256] = one.url
            version = str(version_of(one.file_name))
            return Artifact(KIND, one.name, version, "", "", one.file_name, one.url, sha256, size)

        found = in_parallel(fetch, list(named.values()))
        return {artifact.name: artifact for artifact in found}

    def _fetched(self, wanted: Wanted, access: Access, step: Step) -> tuple[str, int]:
        for entry in wanted.hashes:
            kept = self.wheels.path(entry.removeprefix("sha256:"))
            if len(wanted.hashes) == 1 and entry.startswith("sha256:") and kept.is_file():
                return kept.stem, kept.stat().st_size
        try:
            return self.wheels.fetch(wanted.url, wanted.file_name, access, step, hashes=wanted.hashes)
        except NetworkError as exc:
            exc.remedy = exc.remedy or f"it is asked for by {wanted.public}"
            raise

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """A private folder for as long as uv runs."""
        try:
            sharing.make_folders(self.staging)
            folder = Path(mkdtemp(prefix="pip-resolve-", dir=self.staging))
        except OSError as exc:
            raise disk_error(exc) from exc
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def check_against(conda: Sequence[Distribution], wanted: Sequence[Wanted]) -> None:
    """Refuse requirements that contradict what conda brings: pip never replaces it.

    Raises:
        ResolveError: names all of them, both sides of each.
    """
    brought = {canonicalize_name(one.name): one.version for one in conda}
    against = [one for one in wanted if one.name in brought and (one.url or not _fits(one, brought[one.name]))]
    if not against:
        return
    lines = [f"conda brings {one.name} {brought[one.name]}, and pip asks for {one.public}" for one in against]
    first = against[0]
    versions = first.requirement.specifier
    remedy = f"ask conda for another version ({first.name}{versions}), or leave {first.name} to one of the two"
    raise ResolveError("\n".join(lines), remedy=remedy, requirements=[one.text for one in against])


def _settled(wanted: Sequence[Wanted], built: Mapping[str, Artifact]) -> list[Wanted]:
    """*wanted* with the names that sources turned out to have, where they were only guessed."""
    return [one.called(built[one.url].name) if one.guessed else one for one in wanted]


def _fits(wanted: Wanted, version: str) -> bool:
    try:
        return wanted.allows(version)
    except ValueError:
        return True  # a version that means nothing to Python packaging: nobody can tell


def _line(wanted: Wanted, names: Mapping[str, Path]) -> str:
    """The requirement as uv reads it: without hashes, which are checked here, and with a file for a URL."""
    requirement = wanted.requirement
    if wanted.name not in names or not wanted.url:
        return str(requirement)
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras} @ {names[wanted.name].as_uri()}"


def _linked(direct: Mapping[str, Artifact], wheels: Wheels, folder: Path) -> dict[str, Path]:
    """The wheels of URLs under their own names, which uv reads versions and tags from."""
    found = {}
    for name, artifact in direct.items():
        place = folder / "direct" / artifact.file_name
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(wheels.path(artifact.sha256))
        found[name] = place
    return found
