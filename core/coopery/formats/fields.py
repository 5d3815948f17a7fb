"""Strict access to the mappings of a foreign document: what is asked of it is checked, and each mistake noted once.

Unlike in a definition, keys that nobody asks for are let be: other tools add some with every release.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from coopery.errors import LockFileError
from coopery.read.node import Node, found
from coopery.read.reading import Mistake, Reading
from coopery.read.source import read_text

T = TypeVar("T")

MOST_BYTES: Final = 8 << 20
MOST_NODES: Final = 150_000
"""Of one lock file. The largest seen in public repositories have 3 MB and 60,000 values."""


class Fields:
    """One mapping, and where to note what is wrong with it. A node that is no mapping has no fields, which is noted."""

    def __init__(self, node: Node, reading: Reading) -> None:
        self.node = node
        self.reading = reading
        self._values: dict[str, Node] = node.value if isinstance(node.value, dict) else {}
        if not isinstance(node.value, dict):
            reading.problem(node, f"expected a mapping, found {found(node)}")

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def node_of(self, key: str) -> Node:
        """The node of *key*, or this mapping's own where it has none."""
        return self._values.get(key, self.node)

    def names(self) -> list[str]:
        """Its keys, as written."""
        return list(self._values)

    def text(self, key: str, *, needed: bool = True) -> str:
        """Text at *key*; empty where there is none, which is noted where it is *needed*.

        A number or date that a tool wrote without quotes is the text that it was written as.
        """
        node = self._values.get(key)
        if node is None or (node.value is None and not node.raw):
            if needed:
                self.reading.problem(self.node, f"expected the key {key}, found none")
            return ""
        if isinstance(node.value, str):
            return node.value
        if node.raw and not isinstance(node.value, (list, dict)):
            return node.raw
        self.reading.problem(node, f"expected text, found {found(node)}")
        return ""

    def size(self, key: str) -> int | None:
        """A number of bytes at *key*, or None."""
        node = self._values.get(key)
        if node is None or node.value is None:
            return None
        if isinstance(node.value, bool) or not isinstance(node.value, int) or node.value < 0:
            self.reading.problem(node, f"expected a number of bytes, found {found(node)}")
            return None
        return node.value

    def items(self, key: str, *, needed: bool = True) -> list[Node]:
        """The list at *key*."""
        node = self._values.get(key)
        if node is None or node.value is None:
            if needed:
                self.reading.problem(self.node, f"expected the key {key}, found none")
            return []
        if isinstance(node.value, list):
            return node.value
        self.reading.problem(node, f"expected a list, found {found(node)}")
        return []

    def fields(self, key: str) -> Fields | None:
        """The mapping at *key*; None after noting that there is none."""
        if key not in self._values:
            self.reading.problem(self.node, f"expected the key {key}, found none")
            return None
        return Fields(self._values[key], self.reading)

    def tried(self, key: str, parse: Callable[[str], T], *, needed: bool = True) -> T | None:
        """Text at *key* as *parse* takes it; None where it is missing or refused, which is noted."""
        text = self.text(key, needed=needed)
        if not text:
            return None
        return tried(self.node_of(key), self.reading, lambda: parse(text))

    def place(self) -> str:
        """``pixi.lock:12:3``."""
        return place(self.node)


def tried(node: Node, reading: Reading, parse: Callable[[], T]) -> T | None:
    """What *parse* gives, or None after noting at *node* what it refused."""
    try:
        return parse()
    except Mistake as mistake:
        reading.mistake(node, mistake)
        return None


def place(node: Node) -> str:
    """``pixi.lock:12:3``, as far as it is known."""
    return ":".join(str(part) for part in (node.file, node.line, node.column) if part)


def text_of(file: str) -> str:
    """The text of *file*.

    Raises:
        LockFileError: it is no regular file of UTF-8 text, or too long.
    """
    reading = Reading(Path())
    asker = Node(None, file=file)
    text = read_text(file, file, reading, asker, MOST_BYTES)
    if text is not None and not text.strip():
        reading.problem(asker, "expected a lock file, found an empty one")
    finish(reading)
    if text is None:
        raise AssertionError("a file was refused without a problem")
    return text


def finish(reading: Reading) -> None:
    """End the reading of one file.

    Raises:
        LockFileError: there were problems, from the top down.
    """
    if reading.problems:
        ordered = sorted(reading.problems, key=lambda problem: (problem.line, problem.column))
        raise LockFileError(ordered[:MOST_LISTED])


MOST_LISTED: Final = 200
