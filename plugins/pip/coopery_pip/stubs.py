"""Wheels with metadata and nothing else, for what conda brought: so uv knows its version and never replaces it.

Told of a version that its index lacks, uv goes back to old source archives; a file that it can read settles the matter.
Only what extras need stays in the metadata: what conda's package itself needs, conda has already answered for.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from coopery.target import Distribution

_TIME: Final = (1980, 1, 1, 0, 0, 0)
_WHEEL: Final = "Wheel-Version: 1.0\nGenerator: coopery\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def write(distributions: Iterable[Distribution], folder: Path) -> list[str]:
    """Write one stub for each distribution whose version is one to Python packaging.

    Returns:
        A constraint for each: ``name @ file:///…``, sorted.
    """
    folder.mkdir()
    found = {canonicalize_name(one.name): one for one in distributions if _is_version(one.version)}
    return [f"{name} @ {put(name, one, folder).as_uri()}" for name, one in sorted(found.items())]


def file_name(name: str, version: Version) -> str:
    """What the stub of *name* (normalized) is called."""
    return f"{name.replace('-', '_')}-{version}-py3-none-any.whl"


def put(name: str, distribution: Distribution, folder: Path) -> Path:
    """Write one stub into *folder*; its path. The version is one to Python packaging."""
    path = folder / file_name(name, Version(distribution.version))
    stem = path.name.removesuffix("-py3-none-any.whl")
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in (("METADATA", _metadata(name, distribution)), ("WHEEL", _WHEEL), ("RECORD", "")):
            archive.writestr(zipfile.ZipInfo(f"{stem}.dist-info/{file}", _TIME), text)
    return path


def _metadata(name: str, distribution: Distribution) -> str:
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {Version(distribution.version)}"]
    lines += [f"Provides-Extra: {extra}" for extra in distribution.extras if extra.isprintable()]
    lines += [f"Requires-Dist: {line}" for line in distribution.requires if _is_requirement(line)]
    return "\n".join([*lines, ""])


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def _is_requirement(text: str) -> bool:
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return False
    return requirement.url is None
