"""Whether wheels of an existing lock are still what a section asks for. Nothing is fetched.

A lock does not say what depends on what, so this compares what is asked for now with what was asked for when the lock
was made. What only resolving can tell (a requirement or an extra that was dropped or is new) counts as not met.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen
from packaging.utils import NormalizedName, canonicalize_name

from coopery import tree
from coopery.content import local_links
from coopery.definition import Pip
from coopery.errors import CooperyError, ResolveError
from coopery.lock import Artifact
from coopery.target import Distribution
from coopery_pip.choose import rank
from coopery_pip.formats import may_build, must_build
from coopery_pip.machine import Machine
from coopery_pip.requirement import Wanted, parse_all
from coopery_pip.sources import PYPI, public


@frozen
class Question:
    """What is compared.

    Attributes:
        content: the section as it is now.
        asked: the requirements that the lock was made from; None where that is not known.
        artifacts: wheels of the lock.
        machine: what they must run on.
        conda: what conda brings, by the names that its lock has for them.
        root: folder that relative paths start from.
    """

    content: Pip
    asked: Sequence[str] | None
    artifacts: Sequence[Artifact]
    machine: Machine
    conda: Sequence[Distribution] = ()
    root: Path = field(factory=Path)


def unmet(question: Question) -> Iterator[str]:
    """Why the lock is not what is asked for, one line each.

    Raises:
        ResolveError: the section cannot be resolved at all.
    """
    wanted = _known(_applying(question.content.requirements, question.machine), question.artifacts)
    constraints = _known(_applying(question.content.constraints, question.machine), question.artifacts)
    by_name: Mapping[str, Artifact] = {artifact.name: artifact for artifact in question.artifacts}
    brought: Mapping[str, str] = {canonicalize_name(one.name): one.version for one in question.conda}
    for one in wanted:
        yield from _unmet(one, by_name, brought, question.asked or ())
    for one in constraints:
        if one.name in by_name and not _is(one, by_name[one.name]):
            yield f"{one.public}: the lock has {by_name[one.name].version}"
    for name in sorted(by_name.keys() & brought.keys()):
        yield f"{by_name[name]}: conda brings {brought[name]}"
    if question.asked is not None:
        yield from _changed(wanted, _known(_before(question.asked, question.machine), question.artifacts), by_name)
    yield from _unfit(question, {one.url for one in (*wanted, *constraints) if one.url})
    yield from _wrongly_made(question)


def asked(before: Any) -> tuple[str, ...] | None:
    """The requirements of a section as plain data (`coopery.key.identity`); None where that is not known."""
    return tuple(before.get("requirements", ())) if isinstance(before, Mapping) else None


def _applying(texts: Iterable[str], machine: Machine) -> list[Wanted]:
    return [one for one in parse_all(texts) if one.applies(machine.markers)]


def _known(wanted: Sequence[Wanted], artifacts: Sequence[Artifact]) -> list[Wanted]:
    """*wanted*, the names of sources that are only guessed at taken from what the lock has of them."""
    names = {artifact.source: artifact.name for artifact in artifacts if artifact.built is not None}
    return [one.called(names[one.url]) if one.guessed and one.url in names else one for one in wanted]


def _before(texts: Sequence[str], machine: Machine) -> list[Wanted]:
    try:
        return _applying(texts, machine)
    except ResolveError:
        return []  # of a lock that somebody wrote by hand; what is asked for now is checked all the same


def _unmet(
    wanted: Wanted, artifacts: Mapping[str, Artifact], brought: Mapping[str, str], before: Sequence[str]
) -> Iterator[str]:
    artifact = artifacts.get(wanted.name)
    if artifact is not None:
        if not _is(wanted, artifact):
            yield f"{wanted.public}: the lock has {artifact.version} from {artifact.source}"
    elif wanted.name in brought:
        if wanted.url or not wanted.allows(brought[wanted.name]):
            yield f"{wanted.public}: conda brings {brought[wanted.name]}"
    elif wanted.text not in before:  # else conda has brought it, under a name that only its package tells
        yield f"{wanted.public}: the lock has none"


def _is(wanted: Wanted, artifact: Artifact) -> bool:
    if wanted.url and artifact.source != wanted.url:
        return False
    known = [entry.removeprefix("sha256:") for entry in wanted.hashes if entry.startswith("sha256:")]
    sha256 = artifact.built.sha256 if artifact.built is not None else artifact.sha256
    return (wanted.url != "" or wanted.allows(artifact.version)) and (not known or sha256 in known)


def _changed(wanted: Sequence[Wanted], before: Sequence[Wanted], artifacts: Mapping[str, Artifact]) -> Iterator[str]:
    now, then = _extras(wanted), _extras(before)
    for name in sorted(then.keys() - now.keys()):
        if name in artifacts:
            yield f"{name} is not asked for any more"
    for name in sorted(now.keys() & then.keys()):
        if now[name] != then[name]:
            yield f"{name}[{','.join(sorted(now[name]))}]: it was asked for with other extras"
    for name in sorted(now.keys() - then.keys()):
        if now[name]:
            yield f"{name}[{','.join(sorted(now[name]))}]: it was not asked for with extras"


def _extras(wanted: Sequence[Wanted]) -> dict[NormalizedName, frozenset[str]]:
    found: dict[NormalizedName, frozenset[str]] = {}
    for one in wanted:
        extras = frozenset(canonicalize_name(extra) for extra in one.requirement.extras)
        found[one.name] = found.get(one.name, frozenset()) | extras
    return found


def _unfit(question: Question, urls: set[str]) -> Iterator[str]:
    """Wheels that do not run, or do not come from where the section now says."""
    content = question.content
    names = {public(url) for url in (content.index_url or PYPI, *content.extra_index_urls)} | {*content.find_links}
    for artifact in question.artifacts:
        if rank(question.machine, artifact.file_name) is None:
            yield f"{artifact.file_name} does not run on {question.machine.words}"
        if artifact.source not in names | urls:
            yield f"{artifact}: its source {artifact.source} is not named any more"
        elif artifact.source in content.find_links and not _is_there(artifact, question.root):
            yield f"{artifact}: {artifact.source} has other bytes under its name, or none"


def _wrongly_made(question: Question) -> Iterator[str]:
    """Wheels that are to be built and were fetched, and the other way round."""
    content, named = question.content, {one.url for one in _applying(question.content.requirements, question.machine)}
    for artifact in question.artifacts:
        if artifact.source in named:
            continue
        if artifact.built is None and must_build(content, artifact.name):
            yield f"{artifact}: no_binary has it built from source, and the lock has a wheel of its index"
        if artifact.built is not None and not may_build(content, artifact.name):
            yield f"{artifact}: only_binary allows wheels alone, and the lock has one that was built"


def _is_there(artifact: Artifact, root: Path) -> bool:
    """Whether a folder of wheels still has the file; what is on the network is not asked."""
    folder = local_links(artifact.source)
    if folder is None:
        return True
    try:
        return tree.hash_file(root / folder / artifact.file_name)[1] == artifact.sha256
    except (CooperyError, ValueError):
        return False
