"""Forms: what a field may look like. Each reads a node into a value, and states itself as JSON Schema.

The tables in `coopery.read.base`, `coopery.read.environment` and their neighbours are made of these, so that the
reader, the schema that editors complete from and the reference in ``docs/definition.md`` cannot drift apart.

A form's ``read`` returns None after noting problems. It never raises, so that all mistakes are found in one go.

Forms are plain classes: making nine attrs classes takes longer than reading a definition does.
"""

# ruff: noqa: D102 - what read and schema do is said once, at coopery.read.forms.Form

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, Protocol, TypeVar

from coopery.read.characters import check
from coopery.read.node import Node, Number, Unreadable, found
from coopery.read.reading import Mistake, Reading

_LONGEST: Final = 4096

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Form(Protocol[T_co]):
    """What one field may look like."""

    def read(self, node: Node, reading: Reading) -> T_co | None:
        """The value at *node*, or None after noting problems."""
        ...

    def schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of what `read` takes: at least all of it, spaces around a text aside."""
        ...


class Text(Generic[T]):
    """A string that follows a grammar.

    Attributes:
        parse: trimmed text → value; raises `Mistake`.
        words: what it is, for messages: ``a channel``.
        pattern: regular expression for the schema, the same in Python and ECMAScript; empty for none.
        lines: whether line ends and tabs may stand in it.
        free: whether it is kept as it stands: not trimmed, and perhaps empty.
    """

    def __init__(
        self, parse: Callable[[str], T], words: str = "text", pattern: str = "", lines: bool = False, free: bool = False
    ) -> None:
        self.parse = parse
        self.words = words
        self.pattern = pattern
        self.lines = lines
        self.free = free

    def read(self, node: Node, reading: Reading) -> T | None:
        value = node.value
        if not isinstance(value, str):
            mismatch(node, self.words, reading, textual=True)
            return None
        try:
            check(value, lines=self.lines)
            text = value if self.free else value.strip(" ")
            if len(text) > _LONGEST and not self.free:
                raise Mistake(f"expected {self.words} of at most {_LONGEST} characters, found {len(text)}")
            if not text and not self.free:
                raise Mistake(f"expected {self.words}, found an empty string")
            return self.parse(text)
        except Mistake as mistake:
            reading.mistake(node, mistake)
            return None

    def schema(self) -> dict[str, Any]:
        least = {} if self.free else {"minLength": 1}
        return {"type": "string", **least, **({"pattern": self.pattern} if self.pattern else {})}


class Flag:
    """``true`` or ``false``."""

    def read(self, node: Node, reading: Reading) -> bool | None:
        if not isinstance(node.value, bool):
            mismatch(node, "true or false", reading)
            return None
        return node.value

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


class Listing(Generic[T]):
    """A list of one form, as a tuple."""

    def __init__(self, item: Form[T], words: str = "a list", least: int = 0) -> None:
        self.item = item
        self.words = words
        self.least = least

    def read(self, node: Node, reading: Reading) -> tuple[T, ...] | None:
        if not isinstance(node.value, list):
            mismatch(node, self.words, reading)
            return None
        if len(node.value) < self.least:
            reading.problem(node, f"expected {self.words} with something in it, found an empty list")
            return None
        items = [self.item.read(item, reading) for item in node.value]
        values = tuple(item for item in items if item is not None)
        return values if len(values) == len(items) else None

    def schema(self) -> dict[str, Any]:
        least = {"minItems": self.least} if self.least else {}
        return {"type": "array", "items": self.item.schema(), **least}


class Pairs:
    """A mapping whose names follow a grammar."""

    def __init__(self, names: Text[str], values: Form[str], words: str = "a mapping", least: int = 0) -> None:
        self.names = names
        self.values = values
        self.words = words
        self.least = least

    def read(self, node: Node, reading: Reading) -> dict[str, str] | None:
        if not isinstance(node.value, dict):
            mismatch(node, self.words, reading)
            return None
        if len(node.value) < self.least:
            reading.problem(node, f"expected {self.words} with something in it, found an empty one")
            return None
        pairs = {}
        for name, item in node.value.items():
            key = node_of_key(node, name)
            read = self.names.read(key, reading), self.values.read(item, reading)
            if read[0] is not None and read[1] is not None:
                pairs[read[0]] = read[1]
        return pairs if len(pairs) == len(node.value) else None

    def schema(self) -> dict[str, Any]:
        names = {"propertyNames": {"pattern": self.names.pattern}} if self.names.pattern else {}
        least = {"minProperties": self.least} if self.least else {}
        return {"type": "object", "additionalProperties": self.values.schema(), **names, **least}


class Either(Generic[T]):
    """One form for a string, one for a list, one for a mapping; those that are None are refused."""

    def __init__(
        self, words: str, text: Form[T] | None = None, listing: Form[T] | None = None, mapping: Form[T] | None = None
    ) -> None:
        self.words = words
        self.text = text
        self.listing = listing
        self.mapping = mapping

    def read(self, node: Node, reading: Reading) -> T | None:
        form = None
        if isinstance(node.value, str):
            form = self.text
        elif isinstance(node.value, list):
            form = self.listing
        elif isinstance(node.value, dict):
            form = self.mapping
        if form is None:
            mismatch(node, self.words, reading, textual=self.text is not None)
            return None
        return form.read(node, reading)

    def schema(self) -> dict[str, Any]:
        alternatives: list[dict[str, Any]] = []
        for form in (self.text, self.listing, self.mapping):
            if form is not None:
                schema = form.schema()
                alternatives.extend(schema["oneOf"] if list(schema) == ["oneOf"] else [schema])
        return {"oneOf": alternatives} if len(alternatives) > 1 else alternatives[0]


def mismatch(node: Node, words: str, reading: Reading, *, textual: bool = False) -> None:
    """Note that *node* is of the wrong type; *textual* offers quotes to what YAML took for a number or a word."""
    value = node.value
    if isinstance(value, Unreadable):
        return
    remedy = ""
    if textual and (isinstance(value, (int, Number)) or (value is None and node.raw)):
        written = value.text if isinstance(value, Number) else node.raw or found(node).removeprefix("the number ")
        remedy = f'write it in quotes: "{written}"'
    elif value is None:
        remedy = "fill it in, or remove the key"
    reading.problem(node, f"expected {words}, found {found(node)}", remedy)


def node_of_key(node: Node, name: str) -> Node:
    """The key *name* of the mapping at *node*, as a node of its own, with its own place."""
    child = node.value[name] if isinstance(node.value, dict) else node
    return Node(name, child.path, child.file, *child.key)
