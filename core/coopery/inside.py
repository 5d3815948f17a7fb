"""Running a program in the image that is being made: what a materializer is lent to build a package from its source.

Code of packages never runs on this machine. Where a backend runs steps, it may run as one: on the snapshot after the
user's steps and the packages of the materializers that came before, with no network. Nothing of it stays in the image;
what the program leaves in one folder is handed out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from attrs import field, frozen

from coopery.digest import Digest
from coopery.layer import Entry

HERE: Final = "/.coopery"
"""The folder in the image that an errand has to itself: what it is given lies below, and it may write there."""

OUT: Final = f"{HERE}/out"
"""Where an errand leaves what is handed out: plain files, directly in it."""


@frozen
class Errand:
    """One program to run.

    Attributes:
        subject: what it is for, as an error begins: ``$.pip.requirements: building demo``.
        argv: what to execute; paths are those of the image. It runs as root of the container, in `HERE`.
        entries: files that it is given. Each lies below `HERE`; no two have one path.
        env: variables over those that the image and its packages set.
    """

    subject: str
    argv: tuple[str, ...]
    entries: tuple[Entry, ...] = field(default=(), repr=False)
    env: Mapping[str, str] = field(factory=dict)


class Inside(Protocol):
    """The image as far as it is made. Core gives one to each section (`coopery.materializer.Section`)."""

    def check(self, what: str) -> None:
        """Refuse at once where nothing can be run; to be asked before anything is fetched for it.

        Args:
            what: what would be run for, as `Errand.subject`.

        Raises:
            UnsupportedError: the backend runs no steps, or cannot switch their network off; names those that can.
        """
        ...

    def digest(self) -> Digest:
        """Names what errands run on: snapshot, packages below, prefix. Equal digests may stand in for each other."""
        ...

    def run(self, errand: Errand, folder: Path) -> tuple[Path, ...]:
        """Run *errand* and copy what it left in `OUT` into *folder*, which exists; the copies, sorted by name.

        What it prints is part of the build's log, secrets masked; it is ended after the time that steps have.

        Raises:
            UnsupportedError: as `check`.
            StepFailed: it ended with another status than 0; has its last lines.
            PackageError: it left something that is no plain file with a plain name, or a package below cannot be had.
            BackendError: the engine failed.
            StoreFull, CacheError: the disk refused.
        """
        ...
