"""URLs in lock files: credentials cut off, taken apart into channel, subdir and file.

Nothing from here is fetched before a materializer has matched it with a channel or an index of its own.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from attrs import frozen

from coopery.read.channel import SUBDIRS
from coopery.read.node import quoted
from coopery.read.reading import Mistake

CONDA_FILE: Final = re.compile(
    r"(?P<name>[A-Za-z0-9_][A-Za-z0-9._-]*)-(?P<version>[A-Za-z0-9._+!]+)-(?P<build>[A-Za-z0-9._+]+)\.(conda|tar\.bz2)"
)
"""A conda package's file name. Source: CEP 26, "Identifying packages and channels in the conda ecosystem"."""

WHEEL: Final = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._]*)-(?P<version>[A-Za-z0-9][A-Za-z0-9._+!]*)"
    r"(-[0-9][A-Za-z0-9_.]*)?(-[A-Za-z0-9_.]+){3}\.whl"
)
"""A wheel's file name. Source: PyPA, "Binary distribution format", file name convention."""

SHA256: Final = re.compile(r"[0-9a-f]{64}")
MD5: Final = re.compile(r"[0-9a-f]{32}")

_TOKEN: Final = re.compile(r"/t/[^/]+(?=/)")
_WORD: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!-]*")
_LONGEST: Final = 4096
_LONGEST_WORD: Final = 255
_SCHEMES: Final = ("https", "http", "file")


@frozen
class CondaUrl:
    """``https://host/channel/linux-64/zlib-1.3.1-h4ab18f5_1.conda`` in parts."""

    url: str
    channel: str
    subdir: str
    file_name: str
    name: str
    version: str
    build: str


def clean(text: str) -> str:
    """*text* with no user, password, ``/t/<token>`` or fragment.

    Raises:
        Mistake: it is no http, https or file URL, or has a query, which may be a secret and may be needed.
    """
    if len(text) > _LONGEST or not text.isascii() or not text.isprintable() or " " in text:
        raise Mistake(f"expected a URL, found {quoted(text)}")
    parts = _split(text)
    if parts.scheme not in _SCHEMES or (parts.scheme != "file" and not parts.hostname):
        raise Mistake(f"expected a URL ({', '.join(_SCHEMES)}), found {quoted(text)}")
    if parts.query:
        raise Mistake(f"expected a URL without a query, found {quoted(text.partition('?')[0])} with one")
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, _TOKEN.sub("", parts.path), "", ""))


def conda(text: str) -> CondaUrl:
    """Take the URL of a conda package apart.

    Raises:
        Mistake: it is none.
    """
    url = clean(text)
    folder, _, file_name = url.rpartition("/")
    channel, _, subdir = folder.rpartition("/")
    match = CONDA_FILE.fullmatch(file_name)
    if match is None or subdir not in SUBDIRS or "://" not in channel or channel.endswith("/"):
        raise Mistake(
            f"expected a conda package's URL, found {quoted(url)}",
            "like https://conda.anaconda.org/conda-forge/linux-64/zlib-1.3.1-h4ab18f5_1.conda",
        )
    return CondaUrl(url, channel, subdir, file_name, match["name"], match["version"], match["build"])


def wheel(text: str) -> tuple[str, str, str]:
    """URL, file name and version of the wheel at the URL *text*.

    Raises:
        Mistake: it is no wheel's URL.
    """
    url = clean(text)
    name, version = wheel_name(unquote(url.rpartition("/")[2]))
    return url, name, version


def wheel_name(file_name: str) -> tuple[str, str]:
    """*file_name*, and the version in it.

    Raises:
        Mistake: it is no wheel's: what must be built cannot be locked.
    """
    match = WHEEL.fullmatch(file_name)
    if match is None:
        raise Mistake(f"expected a wheel, found {quoted(file_name)}", NO_WHEEL)
    return file_name, match["version"]


NO_WHEEL: Final = "no package is built from source here: lock a release that has a wheel, or leave it out by its name"


def fragment(text: str) -> tuple[str, str]:
    """*text* up to its ``#``, and what follows that."""
    url, _, rest = text.partition("#")
    return url, rest


def hashes(text: str) -> tuple[str, str]:
    """The md5 and the sha256 that the fragment *text* of an explicit list holds; one of them, or neither.

    Source: conda's ``url_pat``: an md5 bare, a sha256 bare or after ``sha256:``.

    Raises:
        Mistake: it is something else.
    """
    if not text or MD5.fullmatch(text):
        return text, ""
    if SHA256.fullmatch(found := text.removeprefix("sha256:")):
        return "", found
    raise Mistake(f"expected an md5, or sha256: and 64 hexadecimal digits, after #, found {quoted(text)}")


def word(text: str) -> str:
    """*text*, a name, version or build string: no space, slash or sign that a solver or a shell would read.

    Raises:
        Mistake: it is more than that.
    """
    if not _WORD.fullmatch(text) or len(text) > _LONGEST_WORD:
        raise Mistake(f"expected a name or version of letters, digits and . _ + ! -, found {quoted(text)}")
    return text


def hexadecimal(text: str, pattern: re.Pattern[str]) -> str:
    """*text*, which must be a hash as *pattern* says.

    Raises:
        Mistake: it is none.
    """
    if not pattern.fullmatch(text):
        raise Mistake(f"expected {64 if pattern is SHA256 else 32} hexadecimal digits, found {quoted(text)}")
    return text


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError as exc:
        raise Mistake(f"expected a URL, found {quoted(text)}: {exc}") from exc
    return parts
