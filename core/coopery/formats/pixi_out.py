"""Writing pixi.lock, version 6: what pixi since 0.39 and everything on rattler reads.

Written by hand, in the order and form of rattler's own: one form for one lock.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Final

from coopery.exchange import Located
from coopery.formats import urls
from coopery.formats.subdirs import SUBDIRS

_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9 ._+/:%~=<>,!*|()-]*[A-Za-z0-9.*)/]")
_RESERVED: Final = re.compile(r"(?i)true|false|null|yes|no|on|off|y|n|.*: .*|.* #.*")
_TRAILING_NUMBER: Final = re.compile(r"[0-9]+$")


def write(platform: str, channels: Sequence[str], indexes: Sequence[str], packages: Sequence[Located]) -> str:
    """A ``pixi.lock`` with one environment, ``default``, for one platform.

    Args:
        platform: image platform.
        channels: their URLs, in order of priority.
        indexes: URLs of Python indexes, the first one first; none: pixi's default.
        packages: conda's and pip's.
    """
    ordered = sorted(packages, key=lambda one: (one.artifact.kind, one.url))
    lines = ["version: 6", "environments:", "  default:"]
    lines += (
        ["    channels:", *(f"    - url: {_text(channel.rstrip('/') + '/')}" for channel in channels)]
        if channels
        else ["    channels: []"]
    )
    if any(one.artifact.kind == "pip" for one in ordered) and indexes:
        lines += ["    indexes:", *(f"    - {_text(index)}" for index in indexes)]
    lines += ["    packages:", f"      {SUBDIRS[platform]}:" + ("" if ordered else " []")]
    lines += [f"      - {_key(one)}: {_text(_location(one))}" for one in ordered]
    lines += ["packages:" + ("" if ordered else " []")]
    for one in ordered:
        lines += _conda(one) if one.artifact.kind == "conda" else _pypi(one)
    return "\n".join(lines) + "\n"


def _key(package: Located) -> str:
    return "conda" if package.artifact.kind == "conda" else "pypi"


def _location(package: Located) -> str:
    """The URL, marked where it is a requirement that names it, and not an index."""
    direct = package.artifact.kind == "pip" and not package.index
    return f"direct+{package.url}" if direct else package.url


def _conda(package: Located) -> Iterator[str]:
    """Name, version, build and subdir only where the URL does not say them, as rattler does."""
    artifact = package.artifact
    yield f"- conda: {_text(package.url)}"
    found = urls.conda(package.url)
    local = package.url.startswith("file:")  # rattler makes a path of it, and sees no subdir in one
    for key in ("name", "version", "build", "subdir"):
        if getattr(found, key) != getattr(artifact, key) or (key == "subdir" and local):
            yield f"  {key}: {_text(getattr(artifact, key))}"
    yield f"  sha256: {_text(artifact.sha256)}"
    if package.md5:
        yield f"  md5: {_text(package.md5)}"
    yield from _list("depends", package.depends)
    yield from _list("constrains", package.constrains)
    yield f"  size: {artifact.size}"


def _pypi(package: Located) -> Iterator[str]:
    artifact = package.artifact
    yield f"- pypi: {_text(_location(package))}"
    yield f"  name: {_text(artifact.name)}"
    yield f"  version: {_text(artifact.version)}"
    yield f"  sha256: {_text(artifact.sha256)}"
    yield from _list("requires_dist", package.depends)
    if package.requires_python:
        yield f"  requires_python: {_text(package.requires_python)}"


def _list(key: str, values: Sequence[str]) -> Iterator[str]:
    if values:
        yield f"  {key}:"
        yield from (f"  - {_text(value)}" for value in values)


def _text(value: str) -> str:
    """Plain where every reader of YAML takes it for text, else in double quotes, whose escapes are those of JSON."""
    plain = _PLAIN.fullmatch(value) and not _RESERVED.fullmatch(value)
    return value if plain else json.dumps(value)
