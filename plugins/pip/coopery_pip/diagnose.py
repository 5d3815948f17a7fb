"""Why nothing fits: the requirements that cannot be met by themselves, found by asking the indexes.

uv's account is kept as it is, never read: what is said of a requirement here comes from the pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from attrs import frozen
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from coopery.errors import ResolveError
from coopery.target import Distribution
from coopery_pip.choose import rank, version_of
from coopery_pip.index import Indexes
from coopery_pip.machine import Machine
from coopery_pip.page import Link
from coopery_pip.requirement import Wanted
from coopery_pip.sources import Source
from coopery_pip.wheels import in_parallel

_MOST: Final = 10
_ARCHIVE_VERSION: Final = re.compile(r"-(v?\d[^-]*?)\.(?:tar\.\w+|tgz|zip)")


@frozen
class Finding:
    """One requirement that cannot be met by itself: why, and what there is instead, newest first."""

    wanted: Wanted
    message: str
    available: tuple[str, ...] = ()


def explain(
    wanted: Sequence[Wanted],
    explanation: str,
    conda: Iterable[Distribution],
    machine: Machine,
    sources: Sequence[Source],
    indexes: Indexes,
) -> ResolveError:
    """The error for requirements that nothing satisfies.

    Args:
        wanted: the requirements that apply on the target.
        explanation: uv's account.
        conda: what conda brings.
        machine: what wheels had to run on.
        sources: where they could come from.
        indexes: the pages of those.

    Raises:
        NetworkError, PackageError: a source does not answer, which is then what is wrong.
    """
    brought = {canonicalize_name(one.name): one.version for one in conda}
    asked = [one for one in wanted if not one.url and one.name not in brought]
    found = [one for one in in_parallel(lambda one: _finding(one, machine, sources, indexes), asked) if one is not None]
    notes = [
        f"conda brings {name} {version}, which pip leaves as it is"
        for name, version in sorted(brought.items())
        if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", explanation)
    ]
    message = "\n".join(one.message for one in found) or f"no set of pip packages fits {machine.words}"
    return ResolveError(
        message,
        explanation="\n".join([explanation, *notes]).strip(),
        requirements=[one.wanted.text for one in found],
        available=found[0].available if found else (),
        remedy=_remedy(found, notes),
    )


def _remedy(found: Sequence[Finding], notes: Sequence[str]) -> str:
    listed = [f"{one.wanted.name}: {', '.join(one.available)}" for one in found if one.available]
    if listed:
        return f"there are {'; '.join(listed)}"
    return "change the version that conda brings, or what pip asks for" if notes and not found else ""


def _finding(wanted: Wanted, machine: Machine, sources: Sequence[Source], indexes: Indexes) -> Finding | None:
    """What is wrong with *wanted* alone; None where something could be."""
    links = [link for source in sources for link in indexes.links(source, wanted.name)]
    names = ", ".join(source.name for source in sources)
    if not links:
        return Finding(wanted, f"{wanted.public}: no package {wanted.name} in {names}")
    specifier = wanted.requirement.specifier
    wheels = {link: version for link in links if (version := version_of(link.file_name)) is not None}
    runs = {version for link, version in wheels.items() if _runs(link, machine)}
    if any(specifier.contains(version, prereleases=True) for version in runs):
        return None
    available = _newest(runs)
    matching = {version for version in wheels.values() if specifier.contains(version, prereleases=True)}
    if matching:
        newest = max(matching)
        why = _why_not([link for link, version in wheels.items() if version == newest], machine)
        return Finding(wanted, f"{wanted.public}: {wanted.name} {newest} {why}", available)
    if any(specifier.contains(version, prereleases=True) for version in map(_archive_version, links) if version):
        message = f"{wanted.public}: there is only source code, which would have to be built, and no wheel"
        return Finding(wanted, message, available)
    return Finding(wanted, f"{wanted.public}: no version of {wanted.name} matches", available)


def _runs(link: Link, machine: Machine) -> bool:
    return rank(machine, link.file_name) is not None and _python_fits(link, machine)


def _python_fits(link: Link, machine: Machine) -> bool:
    try:
        return SpecifierSet(link.requires_python).contains(machine.full_python, prereleases=True)
    except InvalidSpecifier:
        return True


def _why_not(links: Sequence[Link], machine: Machine) -> str:
    tagged = [link for link in links if rank(machine, link.file_name) is not None]
    if tagged:
        return f"needs Python {tagged[0].requires_python}, not {machine.python}"
    names = ", ".join(sorted(link.file_name for link in links)[:3])
    return f"has wheels, and none that runs on {machine.words}: {names}"


def _archive_version(link: Link) -> Version | None:
    match = _ARCHIVE_VERSION.search(link.file_name)
    try:
        return Version(match[1]) if match else None
    except ValueError:
        return None


def _newest(versions: Iterable[Version]) -> tuple[str, ...]:
    final = [version for version in versions if not version.is_prerelease]
    return tuple(map(str, sorted(final or versions, reverse=True)[:_MOST]))
