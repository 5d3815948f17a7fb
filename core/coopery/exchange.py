"""What goes between locks and other tools' lock files: packages as such a file lists them, and where ours are found.

A foreign file often says less than a lock needs (no size, only an md5) or more than one platform wants (all wheels of
a release). Who knows a packaging world fills in and chooses: a materializer that also satisfies `Exchange`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from attrs import frozen

from coopery.lock import Artifact
from coopery.materializer import Section
from coopery.target import Provided, Resolved


@frozen
class ListedFile:
    """One file that another tool's lock file names.

    Attributes:
        name: file name, with no percent escapes.
        url: where it is, with no credentials, query or fragment; empty where only the name is said.
        sha256: 64 hexadecimal digits, or empty.
        md5: 32 hexadecimal digits, or empty. Good for finding a file, never for trusting it.
        size: bytes, or None where nothing is said.
    """

    name: str
    url: str = ""
    sha256: str = ""
    md5: str = ""
    size: int | None = None


@frozen
class Listed:
    """One package that another tool's lock file lists for one platform.

    Attributes:
        kind: the materializer that is meant: ``conda``, ``pip``.
        name: as the file writes it.
        version: as the file writes it; empty where it says none.
        build: conda build string; empty elsewhere.
        subdir: conda subdir; empty elsewhere.
        source: URL of the channel, or of the index; empty where the file says none.
        files: the file, or several of which at most one fits a target; none where only `hashes` are known.
        hashes: sha256 of the files that are allowed, where the file lists hashes and no files.
        marker: environment marker (PEP 508) that must hold for the package to count, or empty.
        extras: what ``extras`` is in that marker.
        groups: what ``dependency_groups`` is in that marker.
        requires_python: version specifiers, or empty.
        why_not: why there is no file, where that is known: ``is a repository``. Refused where the package counts.
        place: ``pixi.lock:12:3``, for messages.
    """

    kind: str
    name: str
    version: str
    build: str = ""
    subdir: str = ""
    source: str = ""
    files: tuple[ListedFile, ...] = ()
    hashes: tuple[str, ...] = ()
    marker: str = ""
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    requires_python: str = ""
    why_not: str = ""
    place: str = ""


@frozen
class Located:
    """An artifact with what other tools want to read about it.

    Attributes:
        artifact: the artifact.
        url: where it is fetched from here, with no credentials.
        index: URL of the index that it was found in; empty for conda packages and files that stand alone.
        md5: 32 hexadecimal digits, or empty.
        depends: what it depends on, as the channel or the wheel says.
        constrains: conda's ``constrains``.
        requires_python: version specifiers, or empty.
    """

    artifact: Artifact
    url: str
    index: str = ""
    md5: str = ""
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    requires_python: str = ""


@runtime_checkable
class Exchange(Protocol):
    """What a materializer may also be able to do: take packages from other tools' lock files, and say where ours are.

    A materializer without it works as ever; `coopery lock --from` and `--as` then say that it cannot.
    """

    def complete(
        self, section: Section, listed: Sequence[Listed], target: Resolved, provided: Provided
    ) -> tuple[Artifact, ...]:
        """Exact artifacts for *target* of the packages *listed*, all of this kind.

        Of a package that lists several files the one for *target* is chosen; markers are evaluated for it. What the
        lock file leaves out is looked up in the channel or index; where only an md5 is known, it must agree with what
        is found there, and the sha256 is taken from there or from the file itself.

        Raises:
            ResolveError: a package cannot run on *target*, is not to be found, or is not what the file says. All of
                them are named, each with its place.
            PackageError, NetworkError: an index or a file cannot be had.
        """
        ...

    def describe(self, section: Section, artifacts: Sequence[Artifact]) -> tuple[Located, ...]:
        """Where each of *artifacts* is fetched from, in their order, with what the channel or index says of it.

        Raises:
            PackageError, NetworkError: one is not to be found.
        """
        ...

    def sources(self, section: Section) -> tuple[str, ...]:
        """URLs of the channels or indexes that *section* names, in order of priority, with no credentials."""
        ...
