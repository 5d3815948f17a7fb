"""From what uv chose to exact wheels: which file, from which source, with which hash and size.

The file is chosen here, by the target's own tags, so that a base with glibc 2.31 never gets a wheel that needs 2.35;
uv only has names for some versions of glibc.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from attrs import evolve, field, frozen
from packaging.utils import InvalidWheelFilename, NormalizedName, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from coopery.errors import NetworkError, PackageError, ResolveError
from coopery.lock import Artifact
from coopery_pip.index import Indexes
from coopery_pip.machine import Machine
from coopery_pip.page import Link
from coopery_pip.pylock import File, Package
from coopery_pip.requirement import Wanted
from coopery_pip.sources import Source, local
from coopery_pip.wheels import Wheels, in_parallel

if TYPE_CHECKING:
    from coopery.wire.http import Http
    from coopery.wire.origin import Login

KIND: Final = "pip"


@frozen
class Chooser:
    """Finds the one file of each package.

    Attributes:
        machine: what it must run on.
        sources: where files may come from, in order.
        indexes: their pages.
        wheels: where a file goes that must be read to be known.
        http, login: how sizes are asked for.
        urls: sha256 → where that file is now; filled here, so that nobody asks the index twice.
    """

    machine: Machine
    sources: Sequence[Source]
    indexes: Indexes
    wheels: Wheels
    http: Http = field(repr=False)
    login: Login | None = field(default=None, repr=False)
    urls: dict[str, str] = field(factory=dict, repr=False)

    def artifacts(
        self, packages: Sequence[Package], wanted: Mapping[NormalizedName, Wanted], before: Iterable[Artifact]
    ) -> tuple[Artifact, ...]:
        """One artifact for each of *packages*.

        Args:
            packages: what uv chose, those with files.
            wanted: normalized name → the requirement that names it, for its hashes.
            before: artifacts of an older lock: the same version keeps its file.

        Raises:
            ResolveError: no file runs on the target, or none has a hash that is asked for.
            NetworkError, PackageError: a source does not answer.
        """
        kept = {(artifact.name, artifact.version): artifact for artifact in before}

        def artifact(package: Package) -> Artifact:
            old = kept.get((package.name, package.version))
            asked = wanted.get(package.name)
            hashes = asked.hashes if asked is not None else ()
            if old is not None and self._keeps(old, hashes):
                return old
            return self._artifact(package, hashes, asked)

        return tuple(in_parallel(artifact, packages))

    def _keeps(self, old: Artifact, hashes: Sequence[str]) -> bool:
        here = old.source in {source.name for source in self.sources}
        return here and rank(self.machine, old.file_name) is not None and _allowed(old.sha256, hashes)

    def _artifact(self, package: Package, hashes: Sequence[str], asked: Wanted | None) -> Artifact:
        source, link = self._link(package, hashes, asked)
        if not link.sha256 or not _allowed(link.sha256, hashes):
            sha256, size = self.wheels.fetch(link.url, link.file_name, self.login, _silent, hashes=hashes)
            link = evolve(link, sha256=sha256, size=size)
        size = self._size(link) if link.size is None else link.size
        self.urls[link.sha256] = link.url
        return Artifact(
            kind=KIND,
            name=package.name,
            version=package.version,
            build="",
            subdir="",
            file_name=link.file_name,
            source=source.name,
            sha256=link.sha256,
            size=size,
        )

    def _link(self, package: Package, hashes: Sequence[str], asked: Wanted | None) -> tuple[Source, Link]:
        best = _best(self.machine, [_as_link(file) for file in package.files])
        if best is not None and _allowed(best.sha256, hashes):
            return self._source(package, best), best
        found = [(source, link) for source in self.sources for link in self._of_version(source, package)]
        good = [link for _, link in found if _allowed(link.sha256, hashes)]
        best = _best(self.machine, good)
        if best is None:
            raise _none(package, self.machine, hashes, asked)
        return next(source for source, link in found if link is best), best

    def _of_version(self, source: Source, package: Package) -> list[Link]:
        version = Version(package.version)
        return [link for link in self.indexes.links(source, package.name) if version_of(link.file_name) == version]

    def _source(self, package: Package, link: Link) -> Source:
        """Which source lists *link*; asked only where there are several."""
        if len(self.sources) == 1:
            _check_scheme(self.sources[0], link)
            return self.sources[0]
        listed = [
            (source, other)
            for source in self.sources
            for other in self.indexes.links(source, package.name)
            if other.file_name == link.file_name and (not link.sha256 or other.sha256 in ("", link.sha256))
        ]
        exact = [source for source, other in listed if other.url == link.url]
        found = [*exact, *(source for source, _ in listed)]
        if not found:
            raise PackageError(link.file_name, "was chosen, but no source lists it any more", remedy="build again")
        _check_scheme(found[0], link)
        return found[0]

    def _size(self, link: Link) -> int:
        """Bytes of a file, where the index does not say: the server does, or else it is fetched."""
        try:
            if (path := local(link.url)) is not None:
                return path.stat().st_size
            with self.http.open("HEAD", link.url, login=self.login) as answer:
                if answer.length is not None:
                    return answer.length
        except NetworkError as exc:
            if exc.status not in (403, 405, 501):  # servers that only know GET
                raise
        except OSError as exc:
            raise PackageError(link.file_name, f"cannot be read: {exc.strerror}") from exc
        return self.wheels.fetch(link.url, link.file_name, self.login, _silent, sha256=link.sha256)[1]


def rank(machine: Machine, file_name: str) -> int | None:
    """How well the wheel called *file_name* fits *machine*: 0 is best; None: it does not run there, or is none."""
    try:
        tags = parse_wheel_filename(file_name)[3]
    except InvalidWheelFilename:
        return None
    return machine.rank(tags)


def version_of(file_name: str) -> Version | None:
    """The version in a wheel's name; None for other files."""
    try:
        return parse_wheel_filename(file_name)[1]
    except (InvalidWheelFilename, InvalidVersion):
        return None


def name_of(file_name: str) -> str | None:
    """The normalized name in a wheel's name; None for other files."""
    try:
        return canonicalize_name(parse_wheel_filename(file_name)[0])
    except InvalidWheelFilename:
        return None


def _best(machine: Machine, links: Iterable[Link]) -> Link | None:
    """The link that fits best; then the highest build number; ties by name, so that a page's order is no matter."""
    found = [(place, link) for link in links if (place := rank(machine, link.file_name)) is not None]
    if not found:
        return None
    least = min(place for place, _ in found)
    return max((link for place, link in found if place == least), key=lambda link: (_build(link), link.file_name))


def _build(link: Link) -> tuple[int, str]:
    return parse_wheel_filename(link.file_name)[2] or (0, "")


def _allowed(sha256: str, hashes: Sequence[str]) -> bool:
    """Whether a file with *sha256* may be one of *hashes*; where they are of another kind, reading it will tell."""
    known = [entry.removeprefix("sha256:") for entry in hashes if entry.startswith("sha256:")]
    return not known or not sha256 or sha256 in known


def _as_link(file: File) -> Link:
    return Link(file.file_name, file.url.partition("#")[0], file.sha256, file.size)


def _check_scheme(source: Source, link: Link) -> None:
    """A page from the network may not name a file of this machine."""
    if urlsplit(link.url).scheme not in ("http", "https") and source.folder is None:
        raise PackageError(link.file_name, f"{source.name} gives it a URL that is not of the network")


def _none(package: Package, machine: Machine, hashes: Sequence[str], asked: Wanted | None) -> ResolveError:
    what = "has one of the hashes that are asked for and runs" if hashes else "runs"
    message = f"no wheel of {package.name} {package.version} {what} on {machine.words}"
    return ResolveError(message, requirements=[asked.text] if asked is not None else [])


def _silent(_item: str, _size: int) -> None:
    """Progress that nobody waits for."""
