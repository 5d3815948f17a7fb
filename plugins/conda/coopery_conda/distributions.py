"""Which Python distributions a package holds, by its own metadata: conda's ``pytorch`` is ``torch`` to pip.

Source: "Recording installed projects" of the Python Packaging User Guide (``*.dist-info/METADATA``), and before it
``*.egg-info/PKG-INFO``. Only what lies directly in site-packages counts: what is vendored deeper is not importable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from typing import Final

from coopery.target import Distribution
from coopery_conda.package import Package

_METADATA: Final = re.compile(
    r"(?:lib/python\d+\.\d+t?/)?site-packages/[^/]+\.(?:dist-info/METADATA|egg-info/PKG-INFO|egg-info)"
)
_MAX_METADATA: Final = 1 << 20
"""Bytes read of one file. The headers come first; the rest is a description."""

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+!_-]*")
_EXTRA: Final = re.compile(r"\bextra\b")


def distributions(package: Package) -> Iterator[Distribution]:
    """Distributions of *package*, in the order of its paths. What has no usable name and version is left out.

    Raises:
        DamagedError: metadata are listed and cannot be read.
        PackageError: its list of paths is hostile.
    """
    for row in package.rows():
        if row.kind == "file" and _METADATA.fullmatch(row.path):
            found = _distribution(_read(package, row.path))
            if found is not None:
                yield found


def _read(package: Package, path: str) -> Message:
    try:
        if (package.folder / path).resolve() != package.folder.resolve() / path:
            raise package.error(f"{path!r} lies behind a link")
        with (package.folder / path).open("rb") as file:
            text = file.read(_MAX_METADATA).decode("utf-8", "replace")
    except OSError as exc:
        raise package.damaged(f"{path!r} cannot be read: {exc.strerror}") from exc
    return HeaderParser().parsestr(text)


def _distribution(metadata: Message) -> Distribution | None:
    name, version = (str(metadata.get(header) or "").strip() for header in ("Name", "Version"))
    if not (_NAME.fullmatch(name) and _VERSION.fullmatch(version)):
        return None
    extras = _all(metadata, "Provides-Extra")
    requires = tuple(line for line in _all(metadata, "Requires-Dist") if _EXTRA.search(line.partition(";")[2]))
    return Distribution(name, version, extras, requires)


def _all(metadata: Message, header: str) -> tuple[str, ...]:
    """Every value of *header* on one line, each once, sorted."""
    return tuple(sorted({" ".join(str(value).split()) for value in metadata.get_all(header) or ()}))
