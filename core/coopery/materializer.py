"""The materializer protocol: what stage 2 contains. Two verbs: requirements into artifacts, artifacts into trees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from attrs import field, frozen

from coopery.backend import Workshop
from coopery.inside import Inside
from coopery.layer import Tree
from coopery.lock import Artifact
from coopery.target import Provided, Resolved


@frozen
class Resolution:
    """What one section resolved to: artifacts, and what they provide to the next materializer."""

    artifacts: tuple[Artifact, ...]
    provided: Provided


@frozen
class Section:
    """One section of a definition, with what resolving it may need.

    Attributes:
        content: the section: `coopery.definition.Conda`, `coopery.definition.Pip`, …
        root: folder that relative paths in it start from.
        prefer: artifacts of an older lock, to stay with where they still fit.
        asked: for `Materializer.unmet`, the section that the lock was made from, as plain data
            (`coopery.key.identity`); None where that is not known.
        inside: runs programs in the image as far as it is made, for packages that must be built from source; None
            where no image is being made, as when a lock is only compared with a definition.
    """

    content: Any
    root: Path = field(factory=Path, eq=False)
    prefer: tuple[Artifact, ...] = ()
    asked: Any = None
    inside: Inside | None = field(default=None, eq=False, repr=False)


class Materializer(Protocol):
    """One packaging world. Constructed by core as ``Class(workshop)``; construction is cheap and touches nothing."""

    name: ClassVar[str]
    """Its section in the definition, and the ``kind`` of its artifacts: ``conda``."""

    after: ClassVar[tuple[str, ...]]
    """Materializers that must come before it. Core sorts; a cycle is an error naming the distributions."""

    def __init__(self, workshop: Workshop) -> None: ...

    def resolve(self, section: Section, target: Resolved, provided: Provided) -> Resolution:
        """Choose exact artifacts. No package code is run; nothing of this machine is detected.

        Raises:
            ResolveError: nothing satisfies it; carries the solver's explanation.
            PackageError: an index or a package cannot be had.
        """
        ...

    def unmet(
        self, section: Section, artifacts: Sequence[Artifact], target: Resolved, provided: Provided
    ) -> tuple[str, ...]:
        """Why *artifacts*, this materializer's part of a lock, are not what *section* asks for; empty: they still are.

        One line for people each: a requirement that no artifact satisfies, an artifact that nothing asks for any
        more, one that cannot run on *target*. What cannot be told from the lock alone counts as not met: resolving
        with the lock as preference then decides. Not asked when the section is word for word the one that the lock
        was made from, on the same base. Fetches nothing.
        """
        ...

    def provides(self, artifacts: Sequence[Artifact], target: Resolved, provided: Provided) -> Provided:
        """What *artifacts* of an existing lock provide; the same value that `resolve` gave with them. Pure."""
        ...

    def trees(
        self, section: Section, artifacts: Sequence[Artifact], target: Resolved, provided: Provided
    ) -> Sequence[Tree]:
        """Fetch *artifacts* (sha256 checked) and describe each as a tree. Scripts of packages are never run.

        Also called with everything fetched already; must then be cheap. A tree with ``last=True`` may be added.

        Raises:
            PackageError: a package cannot be had, is damaged, or tries to leave the prefix.
        """
        ...

    def environment(self, artifacts: Sequence[Artifact], target: Resolved, provided: Provided) -> Configuration:
        """What these packages change in the image's config. Called after `trees`."""
        ...

    def close(self) -> None:
        """Release processes and files. Called once, when the build is over, however it ended."""
        ...


@runtime_checkable
class Remaker(Protocol):
    """What a materializer may also be able to do: make files that no index has, from the sources that a lock names."""

    def remake(
        self, section: Section, artifacts: Sequence[Artifact], target: Resolved, provided: Provided
    ) -> tuple[Artifact, ...]:
        """*artifacts*, those with ``built`` made again where they are not here. Asked before `Materializer.trees`.

        What is made may have another sha256 than the lock says, since few builds are reproducible: the answer then
        has the new one, everything else of the artifact is as it was, and core tells, or refuses where the lock is
        binding (``--frozen``).

        Raises:
            UnsupportedError: something must be made, and the backend runs nothing.
            PackageError, StepFailed: a source cannot be had, or does not build.
        """
        ...


@frozen
class Configuration:
    """What packages bring into an image's config.

    Attributes:
        path: folders to put in front of PATH.
        env: variables to set.
        unset: variables of the base to take away.
        notes: lines for people: packages with scripts that were not run.
        activate: shell files to source before a command, where there is a shell.
    """

    path: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    unset: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    activate: tuple[str, ...] = ()
