"""From a section of the definition to exact packages: the question put to the worker, and its answer in our words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from coopery.definition import Conda
from coopery.errors import ResolveError
from coopery.lock import Artifact
from coopery.settings import Settings
from coopery.target import Resolved
from coopery.wire.login import Logins
from coopery_conda import channels
from coopery_conda.channels import NOARCH, Spec
from coopery_conda.process import Ask, Refusal

KIND: Final = "conda"

_SHOWN: Final = 12  # versions that a message lists
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_WORD: Final = re.compile(r"[!-~]+")  # printable ASCII, no space
_FILE: Final = re.compile(r"[A-Za-z0-9_][!-.0-~]*\.(conda|tar\.bz2)")  # no slash


@frozen
class Question:
    """What to solve, and where everything in it comes from.

    Attributes:
        channels: as the definition names them, in order of priority.
        urls: channel → URL without a slash at the end.
        specs: sorted as the solver sees them.
        subdir: of the target, ``linux-64``.
        virtual: name, version and build of every virtual package; none is detected.
        prefer: artifacts to stay with where they fit.
        access: what requests must say of users; see `coopery_conda.channels.access`.
    """

    channels: tuple[str, ...]
    urls: Mapping[str, str]
    specs: tuple[Spec, ...]
    subdir: str
    virtual: tuple[tuple[str, str, str], ...]
    prefer: tuple[Artifact, ...] = ()
    access: tuple[dict[str, Any], ...] = field(default=(), repr=False)

    def request(self) -> dict[str, Any]:
        """As the worker takes it."""
        return {
            "do": "solve",
            "channels": [self.urls[channel] for channel in self.channels],
            "access": self.access,
            "specs": [spec.with_url(self.urls[spec.channel] if spec.channel else None) for spec in self.specs],
            "subdirs": [self.subdir, NOARCH],
            "virtual": self.virtual,
            "prefer": [artifact.sha256 for artifact in self.prefer],
            "prefer_names": sorted({artifact.name for artifact in self.prefer}),
        }

    def source_of(self, url: str) -> str:
        """The channel at *url*.

        Raises:
            ResolveError: it is none that was asked.
        """
        wanted = url.rstrip("/")
        found = next((channel for channel in self.channels if self.urls[channel] == wanted), None)
        if found is None:
            raise ResolveError(f"a package comes from {url}, which is none of {', '.join(self.channels)}")
        return found


def question(
    content: Conda,
    root: Path,
    settings: Settings,
    target: Resolved,
    prefer: Iterable[Artifact] = (),
    logins: Logins | None = None,
) -> Question:
    """Put *content* into the form of a question.

    Raises:
        ResolveError: conda has no packages for the platform.
        SettingsError: the netrc file cannot be read.
    """
    specs = tuple(channels.spec(text) for text in sorted(content.dependencies))
    names = channels.all_channels(content.channels, specs)
    urls = {name: channels.url_of(name, root, settings) for name in names}
    logins = logins or Logins()
    return Question(
        channels=names,
        urls={name: channels.without_access(url) for name, url in urls.items()},
        specs=specs,
        subdir=channels.subdir_of(target.platform),
        virtual=virtual_packages(target),
        prefer=tuple(prefer),
        access=channels.accesses(urls.values(), logins),
    )


def virtual_packages(target: Resolved) -> tuple[tuple[str, str, str], ...]:
    """Every virtual package of the target machine, stated. Source: CEP 30, "Virtual packages"."""
    stated = [
        ("__archspec", "1" if target.archspec else "", target.archspec or ""),
        ("__cuda", target.cuda or "", "0"),
        ("__glibc", target.glibc or "", "0"),
        ("__linux", target.linux, "0"),
        ("__unix", "0", "0"),
    ]
    return tuple(one for one in stated if one[1])


def solve(question: Question, ask: Ask) -> tuple[Artifact, ...]:
    """Choose exact packages, sorted.

    Raises:
        ResolveError: a channel cannot be read, a spec is none, nothing satisfies the specs, or a channel's index is
            not fit to be locked.
    """
    try:
        records = ask(question.request())
    except Refusal as exc:
        raise _error(question, exc.reply) from exc
    return tuple(sorted(_artifact(question, record) for record in records))


def _artifact(question: Question, record: Mapping[str, Any]) -> Artifact:
    source = question.source_of(record["channel"])
    name = record["file_name"]
    if not _FILE.fullmatch(name) or record["subdir"] not in (question.subdir, NOARCH):
        raise ResolveError(f"channel {source!r}: the index names a file {name!a} that is no conda package of its own")
    for what in ("name", "version", "build"):
        if not _WORD.fullmatch(record[what]) or "/" in record[what]:
            raise ResolveError(f"channel {source!r}: the index gives {name} the {what} {record[what]!a}")
    if not _SHA256.fullmatch(record["sha256"]):
        raise ResolveError(
            f"channel {source!r}: the index has no sha256 for {name}, so it cannot be locked",
            remedy="index the channel again with a tool that writes sha256, or use another build of the package",
        )
    values = {what: record[what] for what in ("name", "version", "build", "subdir", "file_name", "sha256", "size")}
    return Artifact(kind=KIND, source=channels.public(source), **values)


def _error(question: Question, reply: Mapping[str, Any]) -> ResolveError:
    if reply["kind"] == "spec":
        return ResolveError(f"$.conda.dependencies: {reply['spec']!r} is no match spec: {reply['message']}")
    if reply["kind"] == "channel":
        return _channel_error(question, reply)
    unmet = [(question.specs[one["number"]], one["available"], one["near"]) for one in reply["unmet"]]
    if not unmet:
        return ResolveError(
            f"$.conda.dependencies: no set of packages for {question.subdir} satisfies all of it",
            explanation=reply["explanation"],
            remedy="loosen one of the pins named above",
        )
    lines = [_unmet(question, *one) for one in unmet]
    available = [version for _, versions, _ in unmet for version in versions]
    return ResolveError(
        "\n".join(lines),
        explanation=reply["explanation"],
        requirements=[spec.text for spec, _, _ in unmet],
        available=available,
    )


def _unmet(question: Question, spec: Spec, available: Sequence[str], near: Sequence[str]) -> str:
    where = spec.channel or ", ".join(question.channels)
    if available:
        more = f" and {len(available) - _SHOWN} older" if len(available) > _SHOWN else ""
        return f"{spec.text}: not in {where} for {question.subdir}; available: {', '.join(available[:_SHOWN])}{more}"
    hint = f"; near names: {', '.join(near)}" if near else ""
    return f"{spec.text}: no package of that name in {where} for {question.subdir}{hint}"


def _channel_error(question: Question, reply: Mapping[str, Any]) -> ResolveError:
    name = next((name for name, url in question.urls.items() if url == reply["url"]), "")
    place = f"channel {channels.public(name)!r} (at {channels.public(reply['url'])})" if name else "one of the channels"
    index = question.channels.index(name) if name else 0
    return ResolveError(
        f"$.conda.channels[{index}]: {place} cannot be read",
        explanation=reply["message"].replace(reply["url"] or "\0", channels.public(reply["url"])),
        requirements=[name] if name else [],
        remedy="check its name and the network; settings can say where its content is kept ([channels] or"
        " COOPERY_CHANNEL_ALIAS)",
    )
