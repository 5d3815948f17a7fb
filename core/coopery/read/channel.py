"""Conda channels as definitions name them: a bare name, a URL, or a folder."""

from __future__ import annotations

from typing import Final

from coopery.read.grammar import no_credentials, url
from coopery.read.node import quoted
from coopery.read.pattern import Pattern
from coopery.read.reading import Mistake

SUBDIRS: Final = frozenset({
    "noarch", "linux-64", "linux-32", "linux-aarch64", "linux-armv6l", "linux-armv7l", "linux-ppc64le", "linux-ppc64",
    "linux-s390x", "linux-riscv64", "osx-64", "osx-arm64", "win-64", "win-32", "win-arm64",
})  # fmt: skip
"""Source: conda's list of platforms that a channel may have a folder for."""

# What conda itself replaces these names by on Linux: `default_channels` and the multichannel `pkgs`.
_ANACONDA: Final = "https://repo.anaconda.com/pkgs/"
_DEFAULTS: Final = (_ANACONDA + "main", _ANACONDA + "r")

_NO_CHANNEL: Final = "nodefaults"
_NAME: Final = Pattern(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_LONGEST: Final = 1024


def channels(text: str) -> tuple[str, ...]:
    """The channels that *text* stands for: none for ``nodefaults``, two for ``defaults``, else one.

    Raises:
        Mistake: it is no channel.
    """
    if text == _NO_CHANNEL:
        return ()
    if text == "defaults":
        return _DEFAULTS
    return (channel(text),)


def channel(text: str) -> str:
    """One channel, in the spelling that definitions keep: no slash and no subdir at the end.

    Raises:
        Mistake: it is no channel.
    """
    name = _without_subdir(text)
    if len(name) > _LONGEST:
        raise Mistake(f"expected a channel of at most {_LONGEST} characters, found {len(name)}")
    if "://" in name:
        return url(name, ("https", "http", "file"))
    if name.startswith(("./", "../", "/")) or name in (".", ".."):
        return name
    if name == "local":
        raise Mistake("expected a channel that others have too, found 'local'", "name the folder: ./channel")
    if not _NAME.fullmatch(name):
        no_credentials(name)
        raise Mistake(f"expected a channel (a name, a URL or ./folder), found {quoted(text)}", "like conda-forge")
    return _ANACONDA + name.removeprefix("pkgs/") if name.startswith("pkgs/") else name


def of_spec(text: str) -> str:
    """The channel before ``::`` in a match spec, its subdir kept; ``defaults`` becomes the main one of its two.

    Raises:
        Mistake: it is no channel.
    """
    head, _, last = text.rpartition("/")
    if head and last in SUBDIRS:
        return f"{of_spec(head)}/{last}"
    if text == _NO_CHANNEL:
        raise Mistake(f"expected a channel before ::, found {quoted(text)}", "leave it away")
    return _DEFAULTS[0] if text == "defaults" else channel(text)


def _without_subdir(text: str) -> str:
    name = text if len(text) == 1 or text.endswith("://") else text.rstrip("/")
    head, _, last = name.rpartition("/")
    return head.rstrip("/") if head and last in SUBDIRS else name
