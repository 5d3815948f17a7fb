"""Between locks and other tools' lock files: which wheel of a listed package is for the target, and where ours are.

No URL of a foreign file is fetched: a wheel is found in the sources that the definition names, by its sha256.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from attrs import field, frozen
from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from coopery.errors import ResolveError
from coopery.exchange import Listed, Located
from coopery.lock import Artifact
from coopery.target import Distribution
from coopery.wire.login import without_user
from coopery_pip.choose import KIND, Chooser, rank, version_of
from coopery_pip.index import Indexes
from coopery_pip.pylock import Package
from coopery_pip.requirement import Wanted, parse
from coopery_pip.sources import Source
from coopery_pip.wheels import in_parallel

if TYPE_CHECKING:
    from coopery.wire.origin import Login
    from coopery_pip.machine import Machine
    from coopery_pip.wheels import Wheels


@frozen
class Desk:
    """Translates for one definition.

    Attributes:
        wanted: its requirements that apply.
        sources: where wheels may come from, in order.
        indexes: their pages.
        wheels: where a wheel that a URL names is fetched to.
        login: credentials for the sources' hosts.
    """

    wanted: Sequence[Wanted]
    sources: Sequence[Source]
    indexes: Indexes
    wheels: Wheels = field(repr=False)
    login: Login | None = field(default=None, repr=False)

    def complete(
        self, listed: Sequence[Listed], chooser: Chooser, conda: Sequence[Distribution]
    ) -> tuple[Artifact, ...]:
        """Wheels of *listed* for the chooser's machine.

        Args:
            listed: packages; those whose marker does not hold there are passed over.
            chooser: finds files in the sources.
            conda: what is there already, and stays.

        Raises:
            ResolveError: a package has no wheel for the machine or no sha256, stands twice, or contradicts conda.
                All of them are named.
            NetworkError, PackageError: a source does not answer.
        """
        here = {(one.name, one.url): one for one in self.wanted if one.url}
        brought = {canonicalize_name(one.name): one.version for one in conda}
        problems: list[str] = []
        counting = [one for one in listed if _counts(one, chooser.machine, problems)]
        problems += _twice(counting)
        direct: list[Artifact] = []
        pinned: list[Listed] = []
        for one in counting:
            name = canonicalize_name(one.name)
            if name in brought:
                problems += _against_conda(one, brought[name])
                continue
            found = list(_problems(one, chooser.machine))
            problems += found
            if found:
                continue
            if (name, one.files[0].url if one.files else "") in here:
                direct.append(self._direct(one))
            else:
                pinned.append(one)
        chosen = in_parallel(lambda one: _chosen(chooser, one), pinned) if not problems else []
        problems += [answer for answer in chosen if isinstance(answer, str)]
        if problems:
            raise ResolveError("\n".join(problems), remedy="lock it again for this target with the tool that wrote it")
        return tuple(sorted((*direct, *(answer for answer in chosen if isinstance(answer, Artifact)))))

    def describe(self, artifacts: Sequence[Artifact], url_of: Mapping[Artifact, str]) -> tuple[Located, ...]:
        """*artifacts* with their URLs and what their indexes say."""
        return tuple(self._located(artifact, url_of[artifact]) for artifact in artifacts)

    def _located(self, artifact: Artifact, url: str) -> Located:
        source = next((one for one in self.sources if one.name == artifact.source), None)
        links = self.indexes.links(source, artifact.name) if source is not None else ()
        name = artifact.built.source if artifact.built is not None else artifact.file_name
        link = next((one for one in links if one.file_name == name), None)
        return Located(
            artifact,
            without_user(url),
            index=without_user(source.url) if source is not None and source.kind == "index" else "",
            requires_python=link.requires_python if link is not None else "",
        )

    def _direct(self, listed: Listed) -> Artifact:
        """The wheel that a requirement names by its URL: it is fetched, since only then its size is known."""
        file = listed.files[0]
        sha256, size = self.wheels.fetch(file.url, file.name, self.login, lambda *_: None, sha256=file.sha256)
        name = canonicalize_name(listed.name)
        return Artifact(KIND, name, _version(listed), "", "", file.name, file.url, sha256, size)


def _chosen(chooser: Chooser, listed: Listed) -> Artifact | str:
    """The wheel of *listed* that a source has and the target runs, or why there is none."""
    name = canonicalize_name(listed.name)
    try:
        return chooser.artifacts([Package(name, _version(listed))], {name: _pinned(listed)}, ())[0]
    except ResolveError as exc:
        return f"{listed.place}: {exc.message}"


def _counts(listed: Listed, machine: Machine, problems: list[str]) -> bool:
    """Whether the package's marker holds on *machine*."""
    if not listed.marker:
        return True
    here: dict[str, str | AbstractSet[str]] = {**machine.markers, "extra": ""}
    here |= {"extras": frozenset(listed.extras), "dependency_groups": frozenset(listed.groups)}
    try:
        return Marker(listed.marker).evaluate(here, context="lock_file")
    except (InvalidMarker, UndefinedComparison, UndefinedEnvironmentName) as exc:
        problems.append(f"{listed.place}: {listed.name}: {listed.marker!r} is no marker: {exc}")
        return False


def _problems(listed: Listed, machine: Machine) -> Iterator[str]:
    """Why the package cannot be had on *machine*."""
    where = f"{listed.place}: {listed.name}"
    if listed.why_not:
        yield f"{where}: {listed.why_not}; leave it out by its name, or lock a release that has a wheel"
        return
    if listed.requires_python and not _allows(listed.requires_python, machine.full_python):
        yield f"{where}: needs Python {listed.requires_python}, the target has {machine.python}"
    if listed.files:
        fitting = [file for file in listed.files if rank(machine, file.name) is not None]
        if not fitting:
            yield f"{where}: no wheel of {_version(listed)} runs on {machine.words}: {_some(listed)}"
        elif not all(file.sha256 for file in fitting):
            yield f"{where}: the file has no sha256 for its wheel"
        elif any(version_of(file.name) != _parsed(_version(listed)) for file in fitting):
            yield f"{where}: {fitting[0].name} is no wheel of version {_version(listed)}"
    if _parsed(_version(listed)) is None:
        yield f"{where}: {_version(listed)!r} is no version"


def _twice(listed: Sequence[Listed]) -> Iterator[str]:
    first: dict[str, Listed] = {}
    for one in listed:
        name = canonicalize_name(one.name)
        if first.setdefault(name, one) is not one:
            yield f"{one.place}: {one.name} stands twice, first at {first[name].place}"


def _against_conda(listed: Listed, version: str) -> Iterator[str]:
    """The same version of what conda has brought is there already; another one is a contradiction."""
    if _parsed(_version(listed)) != _parsed(version):
        yield f"{listed.place}: {listed.name} {_version(listed)}: conda brings {version}, and pip never replaces it"


def _pinned(listed: Listed) -> Wanted:
    """The package as a requirement that allows only the listed hashes."""
    hashes = listed.hashes or tuple(sorted(file.sha256 for file in listed.files if file.sha256))
    options = " ".join(f"--hash=sha256:{sha256}" for sha256 in hashes)
    return parse(f"{listed.name}=={_version(listed)} {options}")


def _version(listed: Listed) -> str:
    """The version as wheels' names write it."""
    named = version_of(listed.files[0].name) if listed.files else None
    parsed = _parsed(listed.version)
    return str(parsed or named or listed.version)


def _parsed(version: str) -> Version | None:
    try:
        return Version(version)
    except InvalidVersion:
        return None


def _allows(specifiers: str, python: str) -> bool:
    try:
        return SpecifierSet(specifiers).contains(python, prereleases=True)
    except InvalidSpecifier:
        return True  # what means nothing refuses nothing, as in pip


def _some(listed: Listed) -> str:
    names = [file.name for file in listed.files]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
