"""Releases that an index has as source alone: found where no set of wheels fits, and chosen by uv like any other.

uv, told to build nothing, does not see them. Each is shown to it as a wheel with a name, a version and nothing else;
those that it chooses are built, and it is asked again, now with what they really need. A release with a wheel that
fits is always preferred.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import define, field
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidSdistFilename, NormalizedName, canonicalize_name, parse_sdist_filename
from packaging.version import Version

from coopery.content import local_links
from coopery.errors import ResolveError
from coopery.lock import Artifact
from coopery.target import Distribution
from coopery_pip import stubs
from coopery_pip.choose import rank, version_of
from coopery_pip.formats import may_build, must_build
from coopery_pip.page import Link
from coopery_pip.pylock import Package
from coopery_pip.requirement import Wanted
from coopery_pip.sources import Source

if TYPE_CHECKING:
    from coopery.definition import Pip
    from coopery_pip.builds import Builds
    from coopery_pip.index import Indexes
    from coopery_pip.machine import Machine
    from coopery_pip.wheels import Wheels

_MOST_BUILDS: Final = 50
_MOST_RELEASES: Final = 200
_NAME: Final = r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:\[[^]]*\])?"
_NAMED: Final = re.compile(rf"(?:\b(?:of|on|requires?|only)\s+{_NAME}|(?<![\w.-]){_NAME}\s*(?:[=<>!~]=|[<>{{]))")
"""A package name in uv's account. Only a hint of what to ask indexes for: what is no such name, none of them has."""


@define
class Unbuilt:
    """What is shown to uv of sources, and what has been built of them, for one question.

    Attributes:
        content: the section.
        wanted: its requirements that apply.
        machine: what wheels must run on.
        sources: where archives may come from.
        indexes: their pages.
        wheels: where wheels go.
        builds: makes them; None where nothing may be built.
        folder: of the question.
    """

    content: Pip
    wanted: Sequence[Wanted]
    machine: Machine
    sources: Sequence[Source]
    indexes: Indexes
    wheels: Wheels
    builds: Builds | None
    folder: Path
    made: dict[tuple[NormalizedName, Version], Artifact] = field(factory=dict)
    forced: dict[str, Artifact] = field(factory=dict)
    _shown: dict[NormalizedName, dict[Version, tuple[Source, Link]]] = field(factory=dict)
    _looked: set[NormalizedName] = field(factory=set)

    @property
    def shown(self) -> tuple[Source, ...]:
        """What uv is given besides the section's own sources."""
        folders = [self.folder / name for name in ("unbuilt", "made")]
        return tuple(Source(folder.name, folder.as_uri(), "links") for folder in folders if folder.is_dir())

    @property
    def constraints(self) -> list[str]:
        """Wheels that were built although the index has some: ``no_binary``."""
        return [f"{name} @ {self._place(artifact).as_uri()}" for name, artifact in sorted(self.forced.items())]

    def show(self, names: Iterable[str]) -> bool:
        """Show uv the releases of *names* that only building could give; whether there are any more than before."""
        if self.builds is None:
            return False
        found = [self._show(canonicalize_name(name)) for name in names if may_build(self.content, name)]
        return any(found)

    def widen(self, explanation: str) -> bool:
        """Nothing fits: show more, if there is more. First packages with no fitting wheel at all, then all.

        Args:
            explanation: uv's account, which names packages. What it says of them is not believed.
        """
        named = [
            *(one.name for one in self.wanted if not one.url),
            *_mentioned(explanation),
        ]
        names = [name for name in dict.fromkeys(named) if name not in self._shown and may_build(self.content, name)]
        return self.show([name for name in names if not self._fits(name)]) or self.show(names)

    def build(self, packages: Sequence[Package]) -> bool:
        """Build those of *packages* that uv was only shown, and those that must be; whether there were any.

        Raises:
            ResolveError: a package that must be built has no source.
            UnsupportedError, PackageError, NetworkError, StepFailed: as `Builds.release`.
        """
        chosen = [self._unbuilt(package) for package in packages]
        todo = [one for one in chosen if one is not None]
        if len(self.made) + len(self.forced) + len(todo) > _MOST_BUILDS:
            raise ResolveError(f"more than {_MOST_BUILDS} packages would have to be built from source")
        for package, source, link in todo:
            if self.builds is None:
                raise AssertionError("a release was shown that nobody may build")
            hashes = [entry for one in self.wanted if one.name == package.name for entry in one.hashes]
            artifact = self.builds.release(package.name, link, source.name, hashes)
            version = Version(package.version)
            if package.name in self._shown and version in self._shown[package.name]:
                del self._shown[package.name][version]
                self._stub(package.name, version).unlink()
                self.made[package.name, version] = artifact
            else:
                self.forced[package.name] = artifact
            self._put(artifact)
        return bool(todo)

    def of(self, package: Package) -> Artifact | None:
        """What was built for *package*, if it was."""
        if package.name in self.forced:
            return self.forced[package.name]
        return self.made.get((package.name, Version(package.version))) if package.version else None

    def _unbuilt(self, package: Package) -> tuple[Package, Source, Link] | None:
        if not package.version or self.of(package) is not None:
            return None
        version = Version(package.version)
        if found := self._shown.get(package.name, {}).get(version):
            return (package, *found)
        if package.direct or not must_build(self.content, package.name):
            return None
        releases = dict(self._releases(package.name))
        if version not in releases:
            raise ResolveError(
                f"$.pip.no_binary: {package.name} {version} is to be built, and no index has its source",
                requirements=[one.text for one in self.wanted if one.name == package.name],
            )
        return (package, *releases[version])

    def _show(self, name: NormalizedName) -> bool:
        if name in self._looked:
            return False
        self._looked.add(name)
        have = set(self._wheels_of(name))
        found = {version: one for version, one in self._releases(name) if version not in have}
        newest = sorted(found, reverse=True)[:_MOST_RELEASES]
        if not newest:
            return False
        self._shown[name] = {version: found[version] for version in newest}
        for version in newest:
            self._stub(name, version).parent.mkdir(exist_ok=True)
            stubs.put(name, Distribution(name, str(version)), self._stub(name, version).parent)
        return True

    def _fits(self, name: str) -> bool:
        """Whether *name* has a wheel that runs and that the requirements of that name allow."""
        asked = [one for one in self.wanted if one.name == name]
        return any(all(one.allows(str(version)) for one in asked) for version in self._wheels_of(name))

    def _wheels_of(self, name: str) -> Iterator[Version]:
        for link in self._links(name):
            version = version_of(link[1].file_name)
            if version is not None and rank(self.machine, link[1].file_name) is not None:
                yield version

    def _releases(self, name: str) -> Iterator[tuple[Version, tuple[Source, Link]]]:
        """Version → archive; where several sources have it, the first."""
        found: dict[Version, tuple[Source, Link]] = {}
        for source, link in self._links(name):
            if source.kind == "links" and local_links(source.name) is not None:
                continue  # a folder counts in the key by its wheels alone
            try:
                project, version = parse_sdist_filename(link.file_name)
            except InvalidSdistFilename:
                continue
            if project == name:
                found.setdefault(version, (source, link))
        yield from found.items()

    def _links(self, name: str) -> Iterator[tuple[Source, Link]]:
        for source in self.sources:
            for link in self.indexes.links(source, name):
                if not link.yanked and self._runs(link.requires_python):
                    yield source, link

    def _runs(self, specifier: str) -> bool:
        try:
            return SpecifierSet(specifier).contains(self.machine.full_python, prereleases=True)
        except InvalidSpecifier:
            return True

    def _stub(self, name: str, version: Version) -> Path:
        return self.folder / "unbuilt" / stubs.file_name(name, version)

    def _place(self, artifact: Artifact) -> Path:
        return self.folder / "made" / artifact.file_name

    def _put(self, artifact: Artifact) -> None:
        place = self._place(artifact)
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(self.wheels.path(artifact.sha256))


def _mentioned(explanation: str) -> list[NormalizedName]:
    """What may be names of packages in uv's account, in its order."""
    return [canonicalize_name(one or two) for one, two in _NAMED.findall(explanation)]


def kept_names(before: Sequence[Artifact], sources: Sequence[Source]) -> list[str]:
    """Names of packages that an older lock has from the source alone of an index that is asked."""
    names = {source.name for source in sources}
    return [one.name for one in before if one.built is not None and one.source in names]
