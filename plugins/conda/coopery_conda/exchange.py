"""Between locks and other tools' lock files: URLs into channels, and what a file leaves out from the channel's index.

A URL of a foreign file is only ever read: what is fetched is fetched from the channel that it means, by our settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import evolve, frozen

from coopery.definition import Conda
from coopery.errors import ResolveError
from coopery.exchange import Listed, ListedFile, Located
from coopery.lock import Artifact
from coopery.settings import Settings
from coopery.wire.login import Logins
from coopery_conda import channels
from coopery_conda.process import Ask, Refusal
from coopery_conda.solve import KIND

_CANONICAL: Final = "https://conda.anaconda.org/"


@frozen
class Desk:
    """Translates for one definition.

    Attributes:
        content: its section.
        root: folder that relative paths in it start from.
        settings: where channels' content is kept.
        logins: users and passwords for channels.
        ask: puts a request to a worker.
    """

    content: Conda
    root: Path
    settings: Settings
    logins: Logins
    ask: Ask

    def complete(self, listed: Sequence[Listed]) -> tuple[Artifact, ...]:
        """Artifacts of *listed*; what they leave out is looked up.

        Raises:
            ResolveError: a channel cannot be read, does not list a package that needs looking up, or has it with
                another hash; or two packages are called alike. All of them are named.
        """
        artifacts = [self._artifact(one) for one in listed]
        wanting = [at for at, one in enumerate(artifacts) if not one.sha256 or not one.size]
        answers = dict(zip(wanting, self._look([artifacts[at] for at in wanting]), strict=True))
        problems = list(_twice(listed))
        for at, answer in answers.items():
            problems += _against(listed[at], answer)
            artifacts[at] = evolve(artifacts[at], sha256=answer.get("sha256", ""), size=answer.get("size", 0))
        if problems:
            raise ResolveError("\n".join(problems), remedy="lock it again with the tool that wrote the file")
        return tuple(sorted(artifacts))

    def describe(self, artifacts: Sequence[Artifact]) -> tuple[Located, ...]:
        """URLs of *artifacts*, and what their channels say of them.

        Raises:
            ResolveError: a channel cannot be read.
        """
        answers = self._look(artifacts)
        return tuple(self._located(*pair) for pair in zip(artifacts, answers, strict=True))

    def channel_urls(self) -> tuple[str, ...]:
        """Where the definition's channels are, in order of priority, with no credentials."""
        return tuple(self._public_url(name) for name in self._named())

    def _artifact(self, listed: Listed) -> Artifact:
        file = listed.files[0]
        source = self._source(listed.source)
        return Artifact(
            KIND,
            listed.name,
            listed.version,
            listed.build,
            listed.subdir,
            file.name,
            source,
            file.sha256,
            file.size or 0,
        )

    def _source(self, url: str) -> str:
        """The channel at *url*, as the definition names it; a bare name where it has that one meaning."""
        wanted = url.rstrip("/")
        for name in self._named():
            if wanted in (self._public_url(name), channels.canonical_url(name)):
                return channels.public(name)
        for alias in (f"{self.settings.channel_alias.rstrip('/')}/", _CANONICAL):
            if wanted.startswith(alias):
                return wanted.removeprefix(alias)
        return channels.public(wanted)

    def _named(self) -> tuple[str, ...]:
        return channels.all_channels(self.content.channels, map(channels.spec, self.content.dependencies))

    def _real_url(self, source: str) -> str:
        """Where the content of *source* is. Credentials stand in a channel of the definition only."""
        named = {channels.public(name): name for name in self._named()}
        return channels.url_of(named.get(source, source), self.root, self.settings)

    def _public_url(self, source: str) -> str:
        return channels.without_access(self._real_url(source)).rstrip("/")

    def _look(self, artifacts: Sequence[Artifact]) -> list[dict[str, Any]]:
        """What channels' indexes say; an empty answer for what they do not list."""
        if not artifacts:
            return []
        real = {self._real_url(source) for source in {artifact.source for artifact in artifacts}}
        access = channels.accesses(real, self.logins)
        packages = [self._request(artifact) for artifact in artifacts]
        try:
            answers = self.ask({"do": "look", "packages": packages, "access": access})
        except Refusal as exc:
            raise _error(exc.reply) from exc
        return [answer or {} for answer in answers]

    def _request(self, artifact: Artifact) -> dict[str, str]:
        channel = self._public_url(artifact.source)
        return {
            "channel": channel,
            "subdir": artifact.subdir,
            "name": artifact.name,
            "file_name": artifact.file_name,
        }

    def _located(self, artifact: Artifact, answer: Mapping[str, Any]) -> Located:
        url = f"{self._public_url(artifact.source)}/{artifact.subdir}/{artifact.file_name}"
        if answer.get("sha256", artifact.sha256) not in ("", artifact.sha256):
            answer = {}  # the channel has another file under that name now: nothing that it says is about ours
        return Located(
            artifact,
            url,
            md5=answer.get("md5", ""),
            depends=tuple(answer.get("depends", ())),
            constrains=tuple(answer.get("constrains", ())),
        )


def _twice(listed: Sequence[Listed]) -> Iterator[str]:
    first: dict[str, Listed] = {}
    for one in listed:
        if first.setdefault(one.name, one) is not one:
            yield f"{one.place}: {one.name} stands twice, first at {first[one.name].place}"


def _against(listed: Listed, answer: Mapping[str, Any]) -> Iterator[str]:
    """Where the channel contradicts what the file says of a package."""
    file: ListedFile = listed.files[0]
    where = f"{listed.place}: {file.name}"
    if not answer.get("sha256"):
        yield f"{where}: {listed.source} {'has no sha256 for it' if answer else 'does not list it (any more)'}"
        return
    if file.md5 and not file.sha256 and not answer.get("md5"):
        yield f"{where}: the file has only an md5, and the channel has none to compare it with"
    for kind, said in (("sha256", file.sha256), ("md5", file.md5), ("size", file.size)):
        found = answer.get(kind)
        if said and found and said != found:
            yield f"{where}: expected {kind} {said}, and the channel has {found}"


def _error(reply: Mapping[str, Any]) -> ResolveError:
    place = channels.public(reply.get("url", "")) or "a channel"
    return ResolveError(
        f"{place} cannot be read",
        explanation=reply.get("message", ""),
        remedy="check the network; settings can say where a channel's content is kept",
    )
