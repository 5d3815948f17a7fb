"""Channels by the names that definitions give them, and the URLs that their content is fetched from.

A lock, a layer and a log only ever see names; URLs are made from settings at the moment of fetching.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit, urlunsplit

from attrs import frozen

from coopery import platform as _platform
from coopery.errors import ResolveError
from coopery.settings import Settings
from coopery.wire.login import Logins, without_user

SUBDIRS: Final[Mapping[str, str]] = {
    "linux/amd64": "linux-64",
    "linux/arm64": "linux-aarch64",
    "linux/ppc64le": "linux-ppc64le",
    "linux/s390x": "linux-s390x",
    "linux/riscv64": "linux-riscv64",
}
"""Image platform → conda subdir. Source: conda's ``KNOWN_SUBDIRS``."""

NOARCH: Final = "noarch"

_CANONICAL: Final = "https://conda.anaconda.org"
_SUBDIR: Final = re.compile(r"(noarch|(linux|osx|win|freebsd|emscripten|wasi|zos)-[a-z0-9]+)")
_TOKEN: Final = re.compile(r"/t/[^/]+(?=/|$)")
_BRACKET_CHANNEL: Final = re.compile(r"""\s*channel\s*=\s*(?P<quote>["']?)(?P<channel>[^"',\]]+)(?P=quote)\s*,?""")


def subdir_of(platform: str) -> str:
    """The subdir whose packages run on *platform*.

    Raises:
        ResolveError: conda has none for it.
    """
    if platform not in SUBDIRS:
        known = ", ".join(sorted(SUBDIRS))
        raise ResolveError(f"$.target.platform: conda has no packages for {platform!r}", remedy=f"known are {known}")
    return SUBDIRS[platform]


def host_subdir() -> str | None:
    """The subdir whose programs this machine runs, or None where conda has none."""
    return SUBDIRS.get(_platform.of_host())


def public(channel: str) -> str:
    """*channel* as a lock may name it: trimmed, with no user, password or ``/t/<token>``."""
    name = channel.strip()
    if "://" in name:
        parts = urlsplit(name)
        host = parts.netloc.rpartition("@")[2]
        name = urlunsplit((parts.scheme, host, _without_token(parts), parts.query, ""))
    return name.rstrip("/") or name


def url_of(channel: str, root: Path, settings: Settings) -> str:
    """Where the content of *channel* is fetched from, without a slash at the end.

    Args:
        channel: a bare name, a URL, or a path that begins with ``/``, ``./`` or ``../``.
        root: folder that relative paths start from.
        settings: may say that a channel's content is kept elsewhere.
    """
    name = channel.strip()
    place = settings.channels.get(name) or settings.channels.get(public(name)) or name
    if _is_path(place):
        return Path(os.path.normpath(Path.cwd() / root / place)).as_uri()
    return settings.channel_url(place).rstrip("/")


def access(url: str, logins: Logins) -> dict[str, Any] | None:
    """What a worker must know to be let in below *url*; None when nothing is needed.

    It goes apart from the URL, which py-rattler writes into its index of channels.

    Returns:
        ``url`` without user and token; ``real``, the same with its token; ``host``, ``path`` and ``authorization`` of
        requests below it, the last empty where no user is known.

    Raises:
        SettingsError: the netrc file cannot be read.
    """
    parts = urlsplit(url)
    credential = logins.find(url) if parts.scheme in ("http", "https") else None
    real, bare = without_user(url), without_access(url)
    if credential is None and real == bare:
        return None
    return {
        "url": bare,
        "real": real,
        "host": parts.hostname or "",
        "path": parts.path.rstrip("/"),
        "authorization": credential.authorization if credential else "",
    }


def accesses(urls: Iterable[str], logins: Logins) -> tuple[dict[str, Any], ...]:
    """`access` of each of *urls* that needs one.

    Raises:
        ResolveError: py-rattler, which tells hosts apart and no ports, would send the password of one to another.
        SettingsError: the netrc file cannot be read.
    """
    known = sorted(set(urls))
    found = tuple(one for url in known if (one := access(url, logins)))
    for one in found:
        mine = urlsplit(one["url"])
        for other in (urlsplit(without_access(url)) for url in known) if one["authorization"] else ():
            same = other.hostname == mine.hostname and f"{other.path}/".startswith(f"{one['path']}/")
            if same and (other.scheme, other.port) != (mine.scheme, mine.port):
                raise ResolveError(
                    f"the password for the channel at {one['url']} would also go to {other.geturl()}",
                    remedy="give one of them another host name, or another path",
                )
    return found


def _without_token(parts: SplitResult) -> str:
    """A folder on this machine may well be called ``t``."""
    return _TOKEN.sub("", parts.path) if parts.scheme in ("http", "https") else parts.path


def without_access(url: str) -> str:
    """*url* with no user, no password and no ``/t/<token>``: what may be written down on this machine."""
    parts = urlsplit(without_user(url))
    return urlunsplit(parts._replace(path=_without_token(parts)))


def secrets_of(access: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """What must not be shown of *access*."""
    found = {one["authorization"].removeprefix("Basic ") for one in access}
    found |= {match[0].removeprefix("/t/") for one in access for match in _TOKEN.finditer(one["real"])}
    return tuple(sorted(found - {""}))


def canonical_url(channel: str) -> str:
    """The URL that installed records name, the same on every machine: a mirror or a folder is not part of it.

    A bare name stands for the one channel that it names everywhere; a folder for its own last component.
    """
    name = public(channel)
    if _is_path(name) or name.startswith("file:"):
        return f"file:///{Path(urlsplit(name).path).name}"
    return name if "://" in name else f"{_CANONICAL}/{name}"


def _is_path(text: str) -> bool:
    return text.startswith(("/", "./", "../")) or text in (".", "..")


@frozen
class Spec:
    """One match spec, taken apart only as far as its channel.

    Attributes:
        text: as the definition has it.
        channel: the channel that it insists on, or None.
        subdir: the subdir that it insists on, as in ``conda-forge/linux-64::x``, or None.
        rest: the spec without both.
    """

    text: str
    channel: str | None
    subdir: str | None
    rest: str

    def with_url(self, url: str | None) -> str:
        """The spec again, insisting on the channel at *url*, which is what solvers compare."""
        if url is None:
            return self.rest
        wanted = f'channel="{url}"' + (f', subdir="{self.subdir}"' if self.subdir else "")
        head, bracket, tail = self.rest.partition("[")
        return f"{head}[{wanted}, {tail}" if bracket and tail.strip() != "]" else f"{head}[{wanted}]"


def spec(text: str) -> Spec:
    """Take the channel off *text*: ``bioconda::x``, ``conda-forge/linux-64::x`` or ``x[channel=bioconda]``."""
    head, colons, rest = text.partition("::")
    if colons and "[" not in head:
        return Spec(text, *_channel_and_subdir(head.strip()), rest.strip())
    name, bracket, inside = text.partition("[")
    if bracket and (match := _BRACKET_CHANNEL.search(inside)):
        channel, subdir = _channel_and_subdir(match["channel"].strip())
        others = re.sub(r",\s*\]", "]", f"[{inside[: match.start()]}{inside[match.end() :]}")
        return Spec(text, channel, subdir, f"{name}{others.strip()}")
    return Spec(text, None, None, text.strip())


def _channel_and_subdir(text: str) -> tuple[str, str | None]:
    channel, slash, last = text.rpartition("/")
    return (channel, last) if slash and _SUBDIR.fullmatch(last) else (text, None)


def all_channels(listed: Iterable[str], specs: Iterable[Spec]) -> tuple[str, ...]:
    """The listed channels in order of priority, then those that only specs name, sorted; each once."""
    named = sorted(spec.channel for spec in specs if spec.channel)
    return tuple(dict.fromkeys(channel.strip() for channel in (*listed, *named)))
