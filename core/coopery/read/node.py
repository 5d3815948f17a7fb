"""Nodes: one value of a definition, with where it stands. YAML, JSON and plain data all become these."""

from __future__ import annotations

import json
from typing import Final

from coopery.read.pattern import Pattern

_NAME: Final = Pattern(r"[A-Za-z_][A-Za-z0-9_-]*")
# What may be a secret in a URL, RFC 3986 section 3.2.1, and a token as conda writes it.
_CREDENTIALS: Final = Pattern(r"(?<=://)[^/]*(?=@)|(?<=/t/)[^/\s]+")
_LONGEST_SHOWN: Final = 60


class Unreadable:
    """Stands where a value was refused while the document was read; forms pass over it in silence."""

    __slots__ = ()


class Number:
    """A number with a fraction or an exponent, NaN or an infinity; no field takes one, so only its text is kept."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


Value = str | int | bool | None | Number | Unreadable | list["Node"] | dict[str, "Node"]


class Node:
    """One value and its place.

    Not an attrs class: hundreds are made on the way to a cache hit.

    Attributes:
        value: what stands there.
        path: field path, ``$.conda.channels[1]``.
        file: as the user named it; empty for plain data.
        line: 1-based; 0 for plain data.
        column: 1-based; 0 for plain data.
        raw: a number or word as it was written, where the value no longer tells.
        key: place of the key that this is the value of, where it has one.
    """

    __slots__ = ("column", "file", "key", "line", "path", "raw", "value")

    def __init__(
        self, value: Value, path: str = "$", file: str = "", line: int = 0, column: int = 0, raw: str = ""
    ) -> None:
        self.value = value
        self.path = path
        self.file = file
        self.line = line
        self.column = column
        self.raw = raw
        self.key: tuple[int, int] = (line, column)

    def holding(self, value: Value) -> Node:
        """Another value at the same place."""
        return Node(value, self.path, self.file, self.line, self.column)

    @property
    def name_node(self) -> Node:
        """Where the key stands that this is the value of: for problems with the field's being there at all."""
        return Node(None, self.path, self.file, *self.key)


def child_path(path: str, key: str) -> str:
    """Field path of *key* in the mapping at *path*; quoted where it is no plain name, cut where it is long."""
    key = _short(key)
    return f"{path}.{key}" if _NAME.fullmatch(key) else f"{path}[{json.dumps(key)}]"


def found(node: Node) -> str:
    """What stands at *node*, in words for the end of a message. Control characters come out escaped."""
    value = node.value
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "a mapping"
    if isinstance(value, bool) or value is None:
        return {None: "nothing", True: "true", False: "false"}[value]
    return f"the number {_short(value.text if isinstance(value, Number) else node.raw or str(value))}"


def quoted(text: str) -> str:
    """*text* for a message: on one line, escaped, cut where it is long, with no credentials in it."""
    return repr(_short(_CREDENTIALS.sub("…", text[:4096])))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
