"""Sealing: read once, before the key, all local content that a definition names; and again, when it is used.

Between the two somebody may have edited a file. `recheck` notices, so that no key ever names content that is not in
its image. What counts of files and folders is said in `coopery.tree`; ``docs/key.md`` has the whole rule.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from coopery.canonical import canonical
from coopery.definition import (
    ArchiveBase,
    Base,
    ContextBase,
    CopyStep,
    DockerfileBase,
    Environment,
    LayoutBase,
    RootfsBase,
    SifBase,
    Step,
)
from coopery.digest import Digest
from coopery.errors import DefinitionError, IntegrityError, Problem, UsageError
from coopery.sealed import Sealed, SealedBase, SealedLinks, SealedStep

if TYPE_CHECKING:
    from coopery.tree import Node


def seal(environment: Environment) -> Sealed:
    """Digest everything local that *environment* names, and put its package lists into their one order.

    Raises:
        DefinitionError: something is missing, unreadable, of a kind that cannot be copied, or outside the
            definition's folder; every such mistake, with its field path.
        IntegrityError: something changed while it was read.
        UsageError: it is no definition, but perhaps the path of one.
    """
    if not isinstance(environment, Environment):
        raise _no_definition(environment)
    environment = canonical(environment)
    problems: list[Problem] = []
    base = _seal_base(environment.base, environment, problems)
    steps = [_seal_step(step, index, environment, problems) for index, step in enumerate(environment.steps)]
    links = _seal_links(environment, problems) if environment.pip and environment.pip.find_links else ()
    if problems:
        raise DefinitionError(problems)
    return Sealed(environment, base, tuple(steps), links)


def _no_definition(found: object) -> UsageError:
    how = "Environment.from_dict" if isinstance(found, dict) else "Environment.load"
    return UsageError(f"expected an Environment, found {type(found).__name__}", remedy=f"{how} makes one")


def recheck(sealed: SealedStep | SealedBase | SealedLinks) -> tuple[Node, ...]:
    """Read local content again, at the moment of use. A layout is left alone: its digest is checked when fetched.

    Returns:
        What a copy step puts below ``to``, or what a context sends: nodes with the sha256 of each file, so that
        whoever writes them out can tell that these very bytes were written.

    Raises:
        IntegrityError: it is not what the key was made from.
    """
    if sealed.path is None or sealed.content is None:
        return ()
    place = "$.base" if isinstance(sealed, SealedBase) else sealed.field_path
    try:
        now, nodes = _read_again(sealed, sealed.path)
    except ValueError as exc:
        raise IntegrityError(f"{place}: {sealed.path} changed since the key was made: {exc}") from exc
    if now != sealed.content:
        raise IntegrityError(
            f"{place}: {sealed.path} changed since the key was made: expected {sealed.content}, got {now}",
            remedy="build again: what is there now has a key of its own",
        )
    return nodes


def _seal_base(base: Base, environment: Environment, problems: list[Problem]) -> SealedBase:
    match base:
        case LayoutBase(layout=where) | ArchiveBase(archive=where) | RootfsBase(rootfs=where) | SifBase(sif=where):
            pass
        case DockerfileBase(dockerfile=where) | ContextBase(context=where):
            pass
        case _:
            return SealedBase(base)

    def digest(path: Path) -> Digest:
        from coopery import content

        return content.of_base(base, path, environment.target.platform)[0]

    name = type(base).__name__.removesuffix("Base").lower()
    found, path = _noting(problems, f"$.base.{name}", environment.root, where, digest)
    if isinstance(base, DockerfileBase | ContextBase):
        return SealedBase(base, found, path, arguments=environment.build.arguments, secrets=environment.build.secrets)
    return SealedBase(base, found, path)


def _seal_step(step: Step, index: int, environment: Environment, problems: list[Problem]) -> SealedStep:
    field_path = f"$.steps[{index}]"
    if not isinstance(step, CopyStep):
        return SealedStep(step, field_path=field_path)

    def digest(path: Path) -> Digest:
        from coopery import content

        root = Path(os.path.realpath(environment.root))
        if path != root and root not in path.parents:
            raise ValueError(f"expected a path inside the definition's folder, got one that leads to {path}")
        return content.of_copy(step, path)[0]

    found, path = _noting(problems, f"{field_path}.copy", environment.root, step.copy, digest)
    return SealedStep(step, found, path, field_path)


def _seal_links(environment: Environment, problems: list[Problem]) -> tuple[SealedLinks, ...]:
    from coopery import content

    found = []
    for index, entry in enumerate(environment.pip.find_links if environment.pip else ()):
        where = content.local_links(entry)
        if where is not None:
            field_path = f"$.pip.find_links[{index}]"
            digest, path = _noting(problems, field_path, environment.root, where, content.of_links)
            if digest is not None and path is not None:
                found.append(SealedLinks(digest, path, field_path))
    return tuple(found)


def _noting(
    problems: list[Problem], field_path: str, root: Path, text: str, digest: Callable[[Path], Digest]
) -> tuple[Digest | None, Path | None]:
    """Digest and real path of what *text* names; or nothing, and one more problem."""
    try:
        path = Path(os.path.realpath(root / text))
        return digest(path), path
    except ValueError as exc:  # a NUL in the text is one too
        problems.append(Problem(field_path, f"{text!r}: {exc}"))
        return None, None


def _read_again(sealed: SealedStep | SealedBase | SealedLinks, path: Path) -> tuple[Digest | None, tuple[Node, ...]]:
    from coopery import content

    if isinstance(sealed, SealedStep):
        assert isinstance(sealed.step, CopyStep)  # noqa: S101 - no other kind of step has content
        return content.of_copy(sealed.step, path)
    if isinstance(sealed, SealedLinks):
        return content.of_links(path), ()
    if isinstance(sealed.base, LayoutBase):
        return sealed.content, ()
    return content.of_base(sealed.base, path, "")
