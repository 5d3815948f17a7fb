"""Packages on this machine: fetched once, sha256 checked, extracted under the name of their hash."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from coopery import use
from coopery.blobs import disk_error
from coopery.errors import CooperyError, PackageError
from coopery.folders import adopt_folder, scratch, set_aside
from coopery.lock import Artifact
from coopery.wire.login import Logins
from coopery_conda import summary
from coopery_conda.channels import accesses, without_access
from coopery_conda.package import DamagedError, Package
from coopery_conda.process import Ask, Refusal
from coopery_conda.summary import Summary

CONTENT: Final = "content"
"""The folder that a worker extracts a package into. It has that name only once it is whole."""


@frozen
class Packages:
    """The extracted packages in *root*; what is there is whole.

    Attributes:
        root: ``<sha256>/`` is an extracted package, ``<sha256>.json`` its summary.
        staging: for half-made ones.
        fresh: sha256 of what this process extracted, whose files it need not check again.
        logins: users and passwords for channels.
    """

    root: Path
    staging: Path
    fresh: set[str] = field(factory=set, eq=False)
    logins: Logins = field(factory=Logins, eq=False)

    def package(self, artifact: Artifact) -> Package:
        """The package, there or not."""
        return Package(self.root / artifact.sha256, artifact.file_name)

    def missing(self, artifacts: Iterable[Artifact]) -> list[Artifact]:
        """Those that are not here; the others are marked as used."""
        return [artifact for artifact in artifacts if not self._has(self.package(artifact).folder)]

    def _has(self, folder: Path) -> bool:
        return folder.is_dir() and use.mark(folder, self.staging)

    def fetch(self, artifacts: Sequence[Artifact], urls: Mapping[str, str], ask: Ask) -> None:
        """Fetch *artifacts*; each is here, whole, or not at all.

        Args:
            artifacts: what is missing.
            urls: source, as the artifacts name it → URL of the channel.
            ask: puts a request to a worker.

        Raises:
            PackageError: one cannot be had, is not what the lock says, or cannot be unpacked. Nothing of it stays.
            StoreFull, CacheError: the disk refused.
        """
        with ExitStack() as stack:
            folders = {a.sha256: stack.enter_context(scratch(self.staging, "conda-fetch")) for a in artifacts}
            requests = [_request(a, without_access(urls[a.source]), folders[a.sha256]) for a in artifacts]
            users = accesses(urls.values(), self.logins)
            try:
                ask({"do": "fetch", "packages": requests, "access": users})
            except Refusal as exc:
                raise _error(exc.reply, self.root) from exc
            finally:
                self._adopt({sha256: folder / CONTENT for sha256, folder in folders.items()})

    def _adopt(self, folders: Mapping[str, Path]) -> None:
        for sha256, folder in folders.items():
            if folder.is_dir():
                adopt_folder(folder, self.root / sha256)
                self.fresh.add(sha256)

    def summary(self, artifact: Artifact) -> Summary:
        """The package in short, from the file beside it where that is sound.

        Raises:
            PackageError: the package is damaged, hostile, or another than the lock says; a damaged one has been set
                aside.
        """
        kept = self.root / f"{artifact.sha256}.json"
        known = summary.load(kept)
        if known is None:
            with self.guarding(artifact):
                known = summary.summarize(self.package(artifact))
            summary.save(kept, known, self.staging)
        known.check(artifact)
        return known

    def guarding(self, artifact: Artifact) -> _Guard:
        """A context in which a damaged package is set aside, so that the next build fetches it again."""
        return _Guard(self, artifact)


def _error(reply: Mapping[str, Any], root: Path) -> CooperyError:
    if reply["kind"] == "disk":
        return disk_error(OSError(reply["errno"], reply["message"], str(root)))
    return PackageError(reply["file_name"], reply["message"])


@frozen
class _Guard:
    packages: Packages
    artifact: Artifact

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, DamagedError):
            set_aside(self.packages.package(self.artifact).folder, self.packages.staging)


def _request(artifact: Artifact, url: str, folder: Path) -> dict[str, Any]:
    return {
        "url": f"{url}/{artifact.subdir}/{artifact.file_name}",
        "channel": url,
        "subdir": artifact.subdir,
        "name": artifact.name,
        "file_name": artifact.file_name,
        "sha256": artifact.sha256,
        "size": artifact.size,
        "folder": str(folder),
        "content": CONTENT,
    }
