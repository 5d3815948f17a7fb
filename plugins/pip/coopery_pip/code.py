"""Sources of packages on this machine: one archive each, as it came; never unpacked here, and nothing in it is run.

Archives are kept by the sha256 of their bytes, repositories as a tar of one commit (`coopery_pip.git`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from coopery import use
from coopery.wire.login import without_user
from coopery_pip import git
from coopery_pip.wheels import Step, Wheels

if TYPE_CHECKING:
    from coopery.settings import Settings
    from coopery.wire.http import Http
    from coopery_pip.access import Access

GIT: Final = "git+"
SUBDIRECTORY: Final = "#subdirectory="
OLDEST: Final = 315_532_800
"""1980, in seconds since 1970: the first moment that zip archives can name, and when what has no time is built."""


@frozen
class Code:
    """One source, here.

    Attributes:
        path: the archive.
        file_name: what it is called; ends with ``.zip`` where it is one, and is a tar otherwise.
        source: what names it for good, as `coopery.lock.Built.source` has it.
        sha256: of an archive that somebody gives out; empty for a repository.
        subdirectory: folder of the project in it, or empty.
        time: seconds since 1970: of the commit, or `OLDEST`.
    """

    path: Path
    file_name: str
    source: str
    sha256: str = ""
    subdirectory: str = ""
    time: int = OLDEST

    @property
    def is_zip(self) -> bool:
        """Whether it is a zip archive."""
        return self.file_name.endswith(".zip")


@frozen
class Codes:
    """The sources in *root*.

    Attributes:
        root: one file each, by hash.
        staging: for half-made ones.
        http: core's transport.
        settings: proxy and certificates, for git.
        access: credentials for the hosts that the definition names.
        step: told of every piece that has come.
    """

    root: Path
    staging: Path
    http: Http = field(repr=False)
    settings: Settings = field(repr=False)
    access: Access = field(repr=False)
    step: Step = field(repr=False)

    def archive(self, url: str, file_name: str, source: str, *, sha256: str = "", hashes: Sequence[str] = ()) -> Code:
        """The archive at *url*.

        Args:
            url: where it is now.
            file_name: what it is called.
            source: what names it for good; may end with a subdirectory.
            sha256: that it must have; empty: whatever it has.
            hashes: others, of which it must have one where there are any.

        Raises:
            NetworkError, PackageError: it cannot be had, or is another.
            StoreFull, CacheError: the disk refused.
        """
        kept = Wheels(self.root, self.staging, self.http, ".src")
        only = [entry.removeprefix("sha256:") for entry in hashes if entry.startswith("sha256:")]
        known = sha256 or (only[0] if len(only) == len(hashes) == 1 else "")
        if not known or not use.mark(kept.path(known), self.staging):
            known, _ = kept.fetch(url, file_name, self.access, self.step, sha256=sha256, hashes=hashes)
        return Code(kept.path(known), file_name, source, known, _subdirectory(source))

    def repository(self, url: str, reference: str, subdirectory: str = "") -> Code:
        """One commit of a repository.

        Args:
            url: for git, with no ``git+``, reference or fragment.
            reference: a commit, tag or branch.
            subdirectory: folder of the project in it, or empty.

        Raises:
            PackageError: it cannot be had; or git is not installed.
        """
        named = without_user(url)
        found = git.fetch(git.Request(url, reference, self.settings, self.access), self._place, self.staging)
        tail = f"{SUBDIRECTORY}{subdirectory}" if subdirectory else ""
        source = f"{GIT}{named}@{found.commit}{tail}"
        return Code(found.path, f"{found.commit}.tar", source, "", subdirectory, max(found.time, OLDEST))

    def _place(self, url: str, commit: str) -> Path:
        name = hashlib.sha256(f"{git.FORM}\n{without_user(url)}\n{commit}".encode()).hexdigest()
        return self.root / f"{name}.tar"


def repository_of(source: str) -> tuple[str, str, str]:
    """URL, reference and subdirectory of ``git+URL@REFERENCE#subdirectory=FOLDER``."""
    address, _, fragment = source.removeprefix(GIT).partition("#")
    url, _, reference = address.rpartition("@")
    found = (pair.removeprefix("subdirectory=") for pair in fragment.split("&") if pair.startswith("subdirectory="))
    return url, reference, next(found, "")


def _subdirectory(source: str) -> str:
    return source.partition(SUBDIRECTORY)[2]
