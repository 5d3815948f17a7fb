"""Channels by the names that definitions give them, and the URLs that their content is fetched from.

A lock, a layer and a log only ever see names; URLs are made from settings at the moment of fetching.
"""

from __future__ import annotations

import os.path
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from attrs import frozen

from coopery import platform as _platform
from coopery.errors import ResolveError
from coopery.settings import Settings

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
        name = urlunsplit((parts.scheme, host, _TOKEN.sub("", parts.path), parts.query, ""))
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


def access(url: str) -> dict[str, str] | None:
    """What a request below *url* must say of the user in it, for a worker; None when it names none.

    It goes apart from the URL, which py-rattler writes into its index of channels.
    """
    parts = urlsplit(url)
    if parts.username is None:
        return None
    user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    header = f"Basic {b64encode(user.encode()).decode()}"
    return {"host": parts.hostname or "", "path": parts.path, "authorization": header}


def without_user(url: str) -> str:
    """*url* with no user and no password."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))


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
