"""In which line of a TOML text a key stands: `tomllib` does not tell.

Keys are found by their form at the start of a line. What stands inside a string of several lines and looks like a key
could be taken for one; then a message points at that line, and nothing else is wrong.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Final

_PART: Final = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_KEY: Final = re.compile(rf"[ \t]*({_PART}(?:[ \t]*\.[ \t]*{_PART})*)[ \t]*=")
_HEADER: Final = re.compile(rf"[ \t]*\[[ \t]*({_PART}(?:[ \t]*\.[ \t]*{_PART})*)[ \t]*\]")


def line_of(text: str, keys: tuple[str, ...]) -> int:
    """The 1-based line of the value at *keys*, or of the nearest table around it; 0 where neither is found."""
    best, depth = 0, 0
    for line, found in _keys(text):
        common = _common(found, keys)
        if common > depth and common in (len(found), len(keys)):
            best, depth = line, common
    return best


def _keys(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), 1):
        if header := _HEADER.match(line):
            table = _parts(header[1])
            yield number, table
        elif key := _KEY.match(line):
            yield number, (*table, *_parts(key[1]))


def _parts(dotted: str) -> tuple[str, ...]:
    """The names in a dotted key, as TOML reads them."""
    try:
        found = tomllib.loads(f"{dotted} = 1")
    except tomllib.TOMLDecodeError:
        return ()
    parts = []
    value: object = found
    while isinstance(value, dict):
        name, value = next(iter(value.items()))
        parts.append(name)
    return tuple(parts)


def _common(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    return next(
        (at for at, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )
