"""TOML text → nodes. The standard library's reader says no lines, so those of ``[[…]]`` headers are looked up."""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

from coopery.formats.fields import MOST_NODES
from coopery.read.node import Node, Number, Value, child_path
from coopery.read.reading import Mistake, Reading

_MOST_DEPTH: Final = 32
_DEEP_KEY: Final = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){32}""", re.ASCII)
"""A dotted key of more levels than any document has; the standard library takes the square of their number."""
_WHERE: Final = re.compile(r"\(at line (\d+), column (\d+)\)$")


def parse(text: str, file: str, reading: Reading, listed: str) -> Node | None:
    """The document in *text*; None after noting why there is none.

    Args:
        text: all of it.
        file: as the user named it.
        reading: takes the problems.
        listed: the array of tables at the top whose items know their lines.
    """
    try:
        if deep := _DEEP_KEY.search(text):
            line = text.count("\n", 0, deep.start()) + 1
            reading.problem(Node(None, "$", file, line, 1), f"expected at most {_MOST_DEPTH} levels, found more")
            return None
        document = tomllib.loads(text)
        return _Maker(file, _headers(text, listed), listed).node(document, "$", 1, 0)
    except tomllib.TOMLDecodeError as exc:
        where = _WHERE.search(str(exc))
        line, column = (int(where[1]), int(where[2])) if where else (text.count("\n") + 1, 1)  # at its end
        message = _WHERE.sub("", str(exc)).strip()
        reading.problem(Node(None, "$", file, line, column), f"expected TOML, found a syntax error: {message}")
    except RecursionError:
        reading.problem(Node(None, "$", file, 1, 1), f"expected at most {_MOST_DEPTH} levels, found more")
    except Mistake as mistake:
        reading.mistake(Node(None, "$", file, 1, 1), mistake)
    return None


def _headers(text: str, listed: str) -> list[int]:
    """Lines, 1-based, on which a table of the array *listed* begins."""
    header = re.compile(rf"\s*\[\[\s*{re.escape(listed)}\s*\]\]\s*(#.*)?")
    return [number for number, line in enumerate(text.splitlines(), 1) if header.fullmatch(line)]


class _Maker:
    def __init__(self, file: str, lines: list[int], listed: str) -> None:
        self.file = file
        self.lines = lines
        self.listed = f"$.{listed}"
        self.count = 0

    def node(self, value: Any, path: str, line: int, depth: int) -> Node:
        self.count += 1
        if self.count > MOST_NODES or depth > _MOST_DEPTH:
            raise Mistake(f"expected at most {MOST_NODES} values in {_MOST_DEPTH} levels, found more")
        return Node(self._value(value, path, line, depth + 1), path, self.file, line, 1)

    def _value(self, value: Any, path: str, line: int, depth: int) -> Value:
        if isinstance(value, dict):
            return {key: self.node(item, child_path(path, key), line, depth) for key, item in value.items()}
        if isinstance(value, list):
            lines = self.lines if path == self.listed and len(self.lines) == len(value) else [line] * len(value)
            return [self.node(item, f"{path}[{at}]", lines[at], depth) for at, item in enumerate(value)]
        return (
            Number(str(value)) if isinstance(value, float) else value if isinstance(value, (str, int)) else str(value)
        )
