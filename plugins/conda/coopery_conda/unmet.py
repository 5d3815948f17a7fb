"""Whether packages of a lock still are what a section asks for, told from the lock alone: nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from coopery.lock import Artifact
from coopery.materializer import Section
from coopery.target import Resolved
from coopery_conda import channels
from coopery_conda.channels import NOARCH, Spec
from coopery_conda.process import Ask, Refusal

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")
_NOT_IN_A_LOCK: Final = re.compile(r"\b(build_number|md5|license|license_family|track_features|fn)\s*=")


def unmet(section: Section, artifacts: Sequence[Artifact], target: Resolved, ask: Ask) -> Iterator[str]:
    """See `coopery.materializer.Materializer.unmet`.

    A lock does not say what depends on what. So where the section stopped asking for a package that is locked, only a
    solver can tell whether another one needs it: that counts as not met.
    """
    subdirs = (channels.subdir_of(target.platform), NOARCH)
    yield from (f"{artifact} is for {artifact.subdir}" for artifact in artifacts if artifact.subdir not in subdirs)
    specs = [channels.spec(text) for text in section.content.dependencies]
    if _same_words(section):
        return
    yield from _elsewhere(section.content.channels, specs, artifacts)
    yield from _dropped(section.asked, specs, artifacts)
    yield from _unmatched(specs, artifacts, ask)


def _same_words(section: Section) -> bool:
    asked: Mapping[str, Any] = section.asked or {}
    before = asked.get("channels", []), {*asked.get("dependencies", [])}
    return before == ([*section.content.channels], {*section.content.dependencies})


def _elsewhere(listed: Iterable[str], specs: Iterable[Spec], artifacts: Iterable[Artifact]) -> Iterator[str]:
    known = {channels.public(channel) for channel in channels.all_channels(listed, specs)}
    for artifact in artifacts:
        if artifact.source not in known:
            yield f"{artifact} is from {artifact.source}, which is none of the channels any more"


def _dropped(asked: Mapping[str, Any] | None, specs: Iterable[Spec], artifacts: Iterable[Artifact]) -> Iterator[str]:
    before = {_name(channels.spec(text)) for text in (asked or {}).get("dependencies", ())}
    gone = before - {_name(spec) for spec in specs}
    for artifact in artifacts:
        if artifact.name in gone:
            yield f"{artifact.name} is not asked for any more"


def _unmatched(specs: Sequence[Spec], artifacts: Sequence[Artifact], ask: Ask) -> Iterator[str]:
    by_name = {artifact.name: artifact for artifact in artifacts}
    questions: list[tuple[Spec, Artifact]] = []
    for spec in specs:
        found = by_name.get(_name(spec))
        if found is None:
            yield f"{spec.text}: nothing of that name is locked"
        elif _NOT_IN_A_LOCK.search(spec.rest):
            yield f"{spec.text}: a lock does not say enough to tell"
        elif spec.channel is not None and channels.public(spec.channel) != found.source:
            yield f"{spec.text}: {found.name} is locked from {found.source}"
        elif spec.subdir is not None and spec.subdir != found.subdir:
            yield f"{spec.text}: {found.name} is locked for {found.subdir}"
        else:
            questions.append((spec, found))
    yield from _refused(questions, ask)


def _refused(questions: Sequence[tuple[Spec, Artifact]], ask: Ask) -> Iterator[str]:
    pairs = [
        {"spec": spec.rest, "name": one.name, "version": one.version, "build": one.build, "subdir": one.subdir}
        | {"sha256": one.sha256}
        for spec, one in questions
    ]
    if not pairs:
        return
    try:
        numbers = ask({"do": "match", "pairs": pairs})
    except Refusal as exc:
        yield f"{exc.reply.get('spec', '')}: no match spec: {exc.reply.get('message', '')}"
        return
    for number in numbers:
        spec, one = questions[number]
        yield f"{spec.text}: {one} is locked"


def _name(spec: Spec) -> str:
    found = _NAME.match(spec.rest)
    return found[0].lower() if found else ""
