"""Jars by Maven coordinate, ``group:artifact:version``, from repositories that are folders. One jar, one layer."""

# ruff: noqa: ARG002 - a protocol's method has all its arguments; a jar is the same on every target

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from coopery import digest as _digest
from coopery.backend import Workshop
from coopery.blobs import BlobStore
from coopery.errors import IntegrityError, PackageError, ResolveError
from coopery.layer import Entry, Tree
from coopery.lock import Artifact
from coopery.materializer import Configuration, Resolution, Section
from coopery.target import Provided, Resolved


class JarsMaterializer:
    """The section ``spark``: every coordinate is exact, so resolving is finding the file and hashing it."""

    name: ClassVar[str] = "spark"
    after: ClassVar[tuple[str, ...]] = ("conda", "pip")

    def __init__(self, workshop: Workshop) -> None:
        self._settings = workshop.settings
        self._jars = BlobStore(workshop.home / "jars", workshop.staging)

    def resolve(self, section: Section, target: Resolved, provided: Provided) -> Resolution:
        """See `coopery.materializer.Materializer.resolve`."""
        wanted, repositories = sorted(set(section.content.packages)), section.content.repositories
        found = {text: artifact for text in wanted if (artifact := self._find(text, repositories))}
        if missing := [text for text in wanted if text not in found]:
            where = ", ".join(repositories) or "any repository: the definition names none"
            raise ResolveError(f"{', '.join(missing)}: not in {where}", requirements=missing)
        return Resolution(tuple(found.values()), provided)

    def unmet(
        self, section: Section, artifacts: Sequence[Artifact], target: Resolved, provided: Provided
    ) -> tuple[str, ...]:
        """See `coopery.materializer.Materializer.unmet`: coordinates are exact, so names and versions say it all."""
        wanted, locked = set(section.content.packages), {f"{a.name}:{a.version}" for a in artifacts}
        differ = sorted(wanted ^ locked)
        return tuple(f"{text}: {'not locked' if text in wanted else 'not asked for'}" for text in differ)

    def provides(self, artifacts: Sequence[Artifact], target: Resolved, provided: Provided) -> Provided:
        """See `coopery.materializer.Materializer.provides`: nothing that a later section would ask for."""
        return provided

    def trees(
        self, section: Section, artifacts: Sequence[Artifact], target: Resolved, provided: Provided
    ) -> Sequence[Tree]:
        """See `coopery.materializer.Materializer.trees`."""
        return [self._tree(artifact, target.prefix) for artifact in artifacts]

    def environment(self, artifacts: Sequence[Artifact], target: Resolved, provided: Provided) -> Configuration:
        """See `coopery.materializer.Materializer.environment`."""
        return Configuration(env=(("SPARK_DIST_CLASSPATH", f"{target.prefix}/jars/*"),))

    def close(self) -> None:
        """See `coopery.materializer.Materializer.close`: nothing was started."""

    def _find(self, coordinate: str, repositories: Sequence[str]) -> Artifact | None:
        """The jar in the first repository that has it; the lock names the repository as the definition does."""
        group, name, version = coordinate.split(":")
        file_name = f"{name}-{version}.jar"
        for repository in repositories:
            path = self._path(repository, f"{group}:{name}", version, file_name)
            if path.is_file():
                with path.open("rb") as jar:
                    sha256 = _digest.hex_of(_digest.of_file(jar))
                size = path.stat().st_size
                return Artifact(self.name, f"{group}:{name}", version, "", "", file_name, repository, sha256, size)
        return None

    def _path(self, repository: str, name: str, version: str, file_name: str) -> Path:
        """Where Maven's layout has a jar. Settings may say that a copy of *repository* is in a folder here."""
        url = urlsplit(self._settings.channel_url(repository))
        if url.scheme not in ("", "file"):
            raise ResolveError(f"{repository}: this example reads folders", remedy="name a copy of it in the settings")
        group, _, artifact = name.partition(":")
        return Path(unquote(url.path)).joinpath(*group.split("."), artifact, version, file_name)

    def _tree(self, artifact: Artifact, prefix: str) -> Tree:
        """One jar below the prefix, named as Spark names what it fetches, so that two groups never meet."""
        path = f"{prefix.lstrip('/')}/jars/{artifact.name.replace(':', '_')}-{artifact.version}.jar"
        entry = Entry(path, source=self._fetched(artifact), size=artifact.size)
        identity = (("path", path), ("sha256", artifact.sha256))
        return Tree(str(artifact), artifact.name, identity, lambda: (path,), lambda: (entry,), floor=2)

    def _fetched(self, artifact: Artifact) -> Path:
        """A copy of the jar that is what the lock says; made once."""
        digest = _digest.parse(f"sha256:{artifact.sha256}")
        if self._jars.size(digest) != artifact.size:
            source = self._path(artifact.source, artifact.name, artifact.version, artifact.file_name)
            try:
                with source.open("rb") as jar, self._jars.create(digest) as copy:
                    shutil.copyfileobj(jar, copy)
            except (OSError, ValueError, IntegrityError) as exc:  # ValueError: a NUL in a name
                raise PackageError(artifact.file_name, f"{source} is not the jar in the lock: {exc}") from exc
        return self._jars.path(digest)
