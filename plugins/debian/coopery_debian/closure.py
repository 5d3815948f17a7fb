"""From the packages asked for to all that they need: Pre-Depends and Depends, nothing else, nobody's choice twice.

The same request on the same index gives the same packages. Essential packages are not added: a base that needs no
shell has none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from attrs import frozen

from coopery.errors import BaseError
from coopery_debian.control import NAME, VERSION, Relation
from coopery_debian.index import Index, Package

_LIMIT: Final = 4000


@frozen(order=True)
class Request:
    """One entry of ``base.debian.packages``: a name, or ``name=version``. The version may be empty."""

    name: str
    version: str = ""

    def __str__(self) -> str:
        return f"{self.name}={self.version}" if self.version else self.name


def requests(packages: Iterable[str]) -> tuple[Request, ...]:
    """The entries of a definition, sorted, each once.

    Raises:
        BaseError: all that are no package names, and those asked for in two versions.
    """
    problems: list[str] = []
    found: dict[str, Request] = {}
    for text in packages:
        name, equals, version = (part.strip() for part in text.partition("="))
        request = Request(name, version)
        if not NAME.fullmatch(name) or (equals and not VERSION.fullmatch(version)):
            problems.append(f"expected a Debian package, name or name=version, got {text!r}")
        elif found.setdefault(name, request) != request:
            problems.append(f"asked for twice: {found[name]} and {request}")
    if problems:
        raise BaseError("\n".join(f"$.base.debian.packages: {problem}" for problem in problems))
    return tuple(sorted(found.values()))


def closure(index: Index, wanted: Sequence[Request]) -> tuple[Package, ...]:
    """All packages that *wanted* needs, by name.

    Among alternatives one that is there already is taken, else the first that exists; for a virtual package the
    provider that Debian gives the highest priority, ties by name.

    Raises:
        BaseError: unknown packages, dropped versions, dependencies that nothing meets, packages that exclude each
            other; all that were found.
    """
    problems: list[str] = []
    chosen: dict[str, Package] = {}
    for request in wanted:
        package = _asked(index, request, problems)
        if package is not None:
            chosen[package.name] = package
    waiting = deque(chosen.values())
    while waiting and len(chosen) <= _LIMIT:
        package = waiting.popleft()
        for group in package.depends:
            if any(known.meets(relation) for relation in group for known in _named(chosen, relation)):
                continue
            needed = _first(index, group, chosen)
            if needed is None:
                problems.append(f"{package} needs {' | '.join(map(str, group))}, which {index.place} does not have")
            else:
                chosen[needed.name] = needed
                waiting.append(needed)
    problems += _exclusions(chosen.values())
    if problems:
        raise BaseError("\n".join(problems), remedy=_remedy(problems))
    return tuple(sorted(chosen.values()))


def _asked(index: Index, request: Request, problems: list[str]) -> Package | None:
    versions = index.versions(request.name)
    for package in versions:
        if not request.version or package.version == request.version:
            return package
    if versions:
        there = ", ".join(package.version for package in versions)
        problems.append(f"{request}: {index.place} has dropped that version; there: {there}")
        return None
    providers = index.providers(request.name)
    if providers and not request.version:
        return providers[0]
    near = ", ".join(index.near(request.name))
    problems.append(f"{request}: {index.place} has no such package{f'; near it: {near}' if near else ''}")
    return None


def _named(chosen: dict[str, Package], relation: Relation) -> Iterable[Package]:
    """The package of that name, when it is in; else all, since any may provide it."""
    known = chosen.get(relation.name)
    return (known,) if known is not None else chosen.values()


def _first(index: Index, group: Sequence[Relation], chosen: dict[str, Package]) -> Package | None:
    for relation in group:
        real = (package for package in index.versions(relation.name) if package.meets(relation))
        provided = (package for package in index.providers(relation.name) if package.meets(relation))
        for candidates in (real, provided):
            # A name that is in already stays as it is: another version of it would take its place.
            package = next((one for one in candidates if one.name not in chosen), None)
            if package is not None:
                return package
    return None


def _exclusions(packages: Iterable[Package]) -> list[str]:
    """Pairs that cannot be together. A package never excludes itself: it may conflict with what it provides."""
    everything = list(packages)
    names: dict[str, list[Package]] = {}
    for package in everything:
        for name in (package.name, *(one.name for one in package.provides)):
            names.setdefault(name, []).append(package)
    return [
        f"{package} and {other} exclude each other: {package.name} conflicts with {relation}"
        for package in everything
        for relation in package.conflicts
        for other in names.get(relation.name, ())
        if other.name != package.name and other.meets(relation)
    ]


def _remedy(problems: Sequence[str]) -> str:
    if any("has dropped that version" in problem for problem in problems):
        return (
            "drop the pin or name a version that is there; for the dropped one set COOPERY_DEBIAN_MIRROR to a snapshot "
            "mirror of its day"
        )
    return "correct base.debian.packages, or choose another suite"
