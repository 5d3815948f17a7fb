"""The answer of ``uv pip compile --format pylock.toml``, and the older locks that it is asked to stay with.

Source: "pylock.toml specification" of the Python Packaging User Guide (PEP 751).
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urljoin, urlsplit

from attrs import frozen
from packaging.utils import NormalizedName, canonicalize_name

from coopery.lock import Artifact

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@frozen
class File:
    """One wheel that uv names."""

    file_name: str
    url: str
    sha256: str = ""
    size: int | None = None


@frozen
class Package:
    """One package that uv chose.

    Attributes:
        name: normalized.
        version: as its metadata have it.
        files: wheels of it that run on the target, from an index.
        direct: the requirement or a constraint insisted on one file.
    """

    name: NormalizedName
    version: str
    files: tuple[File, ...] = ()
    direct: bool = False


def read(path: Path) -> tuple[Package, ...]:
    """What uv wrote to *path*.

    Raises:
        ValueError: it is not in the form of the specification.
    """
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    try:
        return tuple(_package(entry, path.as_uri()) for entry in document.get("packages", []))
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"not a pylock.toml: {exc!r}") from exc


def write(artifacts: Iterable[Artifact], path: Path) -> None:
    """Names and versions of *artifacts*: uv stays with what stands in the file that it is to write."""
    path.write_text("".join(_lines(artifacts)), encoding="utf-8")


def _lines(artifacts: Iterable[Artifact]) -> Iterator[str]:
    yield 'lock-version = "1.0"\ncreated-by = "coopery"\n'
    for artifact in artifacts:
        yield f"\n[[packages]]\nname = {json.dumps(artifact.name)}\nversion = {json.dumps(artifact.version)}\n"


def _package(entry: dict[str, Any], base: str) -> Package:
    files = tuple(_file(wheel, base) for wheel in entry.get("wheels", []))
    return Package(canonicalize_name(entry["name"]), str(entry.get("version", "")), files, "archive" in entry)


def _file(wheel: dict[str, Any], base: str) -> File:
    url = wheel["url"] if "url" in wheel else urljoin(base, wheel["path"])
    sha256 = str(wheel.get("hashes", {}).get("sha256", "")).lower()
    size = wheel.get("size")
    return File(
        wheel.get("name") or unquote(urlsplit(url).path.rpartition("/")[2]),
        url,
        sha256 if _SHA256.fullmatch(sha256) else "",
        size if isinstance(size, int) else None,
    )
