"""Which packages are built from which source: what a requirement, an index or a lock names, made into wheels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from attrs import evolve, frozen

from coopery.errors import PackageError
from coopery.lock import Artifact, Built
from coopery.wire.login import without_user
from coopery_pip.building import Building, Job
from coopery_pip.code import GIT, SUBDIRECTORY, Code, Codes, repository_of
from coopery_pip.page import Link
from coopery_pip.requirement import Wanted, file_name

Find = Callable[[Artifact], str]
"""Where the source of an artifact is, whose index has it."""

_PLACE: Final = "$.pip.requirements"


@frozen
class Builds:
    """Wheels from sources, for one environment.

    Attributes:
        codes: fetches sources.
        building: makes wheels of them.
        before: artifacts of an older lock: what is asked for in the same words stays as it is.
        find: asks the index that an artifact names for its source.
    """

    codes: Codes
    building: Building
    before: Sequence[Artifact]
    find: Find

    def check(self, what: str) -> None:
        """Refuse where nothing can be built.

        Raises:
            UnsupportedError: the backend runs nothing; names *what*, and those that do.
        """
        self.building.inside.check(what)

    def direct(self, wanted: Wanted) -> Artifact:
        """The wheel of a source that a requirement names by its URL.

        Raises:
            UnsupportedError, PackageError, NetworkError, ResolveError, StepFailed: as `Building.make`.
        """
        subject = f"{_PLACE}: building {wanted.text.partition(' --hash=')[0]}"
        self.check(subject)
        old = next((one for one in self.before if one.built is not None and one.source == wanted.url), None)
        if old is not None and self._is_same(old, wanted):
            return self.kept(old)
        name = "" if wanted.guessed else wanted.name
        return self.building.make(Job(self._code(wanted), wanted.url, subject, name))

    def release(self, name: str, link: Link, source: str, hashes: Sequence[str]) -> Artifact:
        """The wheel of a release that an index has as source alone.

        Args:
            name: normalized, of the package.
            link: its archive.
            source: what the lock calls the index.
            hashes: of which the archive must have one where there are any.

        Raises:
            UnsupportedError, PackageError, NetworkError, ResolveError, StepFailed: as `Building.make`.
        """
        subject = f"{_PLACE}: building {link.file_name}, which {source} has no wheel of"
        self.check(subject)
        for old in self.before:
            if old.name == name and old.built is not None and _is(link, old.built):
                return self.kept(old)
        code = self.codes.archive(link.url, link.file_name, link.file_name, sha256=link.sha256, hashes=hashes)
        return self.building.make(Job(code, source, subject, name))

    def kept(self, artifact: Artifact) -> Artifact:
        """*artifact* of a lock, whose wheel is here on return; made again, it may have another sha256.

        Raises:
            UnsupportedError, PackageError, NetworkError, StepFailed: as `Building.remake`.
        """
        if artifact.built is None or self.building.has(artifact.sha256):
            return artifact
        subject = f"{_PLACE}: building {artifact} again, from {artifact.built.source}"
        self.check(subject)
        job = Job(self._locked(artifact, artifact.built), artifact.source, subject, artifact.name)
        made = self.building.remake(job, artifact.built.tools)
        if made.version != artifact.version:
            raise PackageError(artifact.file_name, f"built again from {artifact.built.source}, it is {made}")
        return evolve(made, built=artifact.built)

    def _is_same(self, old: Artifact, wanted: Wanted) -> bool:
        """Whether an older artifact has the hash that is asked for now."""
        known = [entry.removeprefix("sha256:") for entry in wanted.hashes if entry.startswith("sha256:")]
        return old.built is not None and (not known or old.built.sha256 in known)

    def _code(self, wanted: Wanted) -> Code:
        if wanted.is_repository:
            return self.codes.repository(*repository_of(wanted.url))
        source = without_user(wanted.url)
        return self.codes.archive(
            source.partition("#")[0] if source else "", wanted.file_name, source, hashes=wanted.hashes
        )

    def _locked(self, artifact: Artifact, built: Built) -> Code:
        if built.source.startswith(GIT):
            return self.codes.repository(*repository_of(built.source))
        address = built.source.partition(SUBDIRECTORY)[0]
        url = address if "://" in address else self.find(artifact)
        return self.codes.archive(url, file_name(address), built.source, sha256=built.sha256)


def _is(link: Link, built: Built) -> bool:
    return built.source == link.file_name and link.sha256 in ("", built.sha256)
