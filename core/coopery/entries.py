"""Entry points of installed distributions, read straight from the folders on the path.

`importlib.metadata` finds the same, and is asked wherever the path has anything but plain folders. To import it, with
parsers of mail, zip files and CSV, takes a tenth of a hit on an engine, which looks for one plugin and needs no more.

Sources: https://packaging.python.org/en/latest/specifications/entry-points/ and ``…/recording-installed-packages/``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from attrs import frozen


@frozen
class Entry:
    """One entry point.

    Attributes:
        name, value: as its distribution declares them.
        distribution: name of that distribution; the entry's own name where that is not to be had.
        version: of the distribution; empty where that is not to be had.
    """

    name: str
    value: str
    distribution: str
    version: str


def entries(group: str) -> tuple[Entry, ...]:
    """All of *group*, as this process may import them. Of a distribution that is there twice the first counts."""
    folders = [str(folder) or os.curdir for folder in sys.path]  # people put paths there that are no text
    if _has_finders() or not all(map(_is_plain, folders)):
        return _by_library(group)
    seen: set[str] = set()
    return tuple(entry for folder in folders for found in _installed(folder, seen) for entry in _read(found, group))


def _has_finders() -> bool:
    """Whether somebody finds distributions in a way of their own."""
    finders = [finder for finder in sys.meta_path if hasattr(finder, "find_distributions")]
    return [getattr(finder, "__name__", "") for finder in finders] != ["PathFinder"]


def _is_plain(folder: str) -> bool:
    """Whether it is a folder with packages in it, or nothing; no archive, and no egg."""
    return not folder.endswith(".egg") and (os.path.isdir(folder) or not os.path.lexists(folder))


def _installed(folder: str, seen: set[str]) -> Iterator[str]:
    """What records a distribution there; *seen* are those that earlier folders have."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        stem, _, kind = name.rpartition(".")
        if kind in ("dist-info", "egg-info"):
            distribution = stem.partition("-")[0].replace("-", "_").replace(".", "_").lower()
            if distribution not in seen:
                seen.add(distribution)
                yield os.path.join(folder, name)


def _read(found: str, group: str) -> Iterator[Entry]:
    """Those of *group* that the distribution recorded in *found* has."""
    text = _text(found, "entry_points.txt")
    if f"[{group}]" not in text:
        return
    fields = dict(line.split(": ", 1) for line in _header(found) if ": " in line)
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line
        elif section == f"[{group}]" and line and not line.startswith("#"):
            name, _, value = (part.strip() for part in line.partition("="))
            yield Entry(name, value, fields.get("Name", name), fields.get("Version", ""))


def _header(found: str) -> list[str]:
    """The first fields of its metadata: name and version are among them."""
    text = _text(found, "METADATA") or _text(found, "PKG-INFO")
    return text.partition("\n\n")[0].splitlines()


def _text(*path: str) -> str:
    try:
        with open(os.path.join(*path), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _by_library(group: str) -> tuple[Entry, ...]:
    from importlib.metadata import entry_points

    return tuple(
        Entry(entry.name, entry.value, *((entry.dist.name, entry.dist.version) if entry.dist else (entry.name, "")))
        for entry in entry_points(group=group)
    )
