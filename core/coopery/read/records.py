"""Forms of mappings with known keys: records, and variants that one key tells apart."""

# ruff: noqa: D102 - what read and schema do is said once, at coopery.read.forms.Form

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from coopery.read.forms import Form, mismatch, node_of_key
from coopery.read.node import Node, quoted
from coopery.read.reading import Mistake, Reading

T = TypeVar("T")


class Field:
    """One key of a mapping.

    Attributes:
        name: the key.
        form: what it may look like.
        about: one sentence, for the schema and for editors.
        required: whether it must be there.
    """

    __slots__ = ("about", "form", "name", "required")

    def __init__(self, name: str, form: Form[Any], about: str, required: bool = False) -> None:
        self.name = name
        self.form = form
        self.about = about
        self.required = required


class Record(Generic[T]):
    """A mapping with known keys.

    Attributes:
        build: called with the fields that are there, by name; may raise `Mistake`.
        fields: its keys.
        words: what it is, for messages.
        hints: what to write instead of keys that people try; under "" what to do about any other.
        apart: two keys that exclude each other, and the way out.
    """

    def __init__(
        self,
        build: Callable[..., T],
        fields: tuple[Field, ...],
        words: str = "a mapping",
        hints: Mapping[str, str] | None = None,
        apart: tuple[tuple[str, str, str], ...] = (),
    ) -> None:
        self.build = build
        self.fields = fields
        self.words = words
        self.hints = hints or {}
        self.apart = apart

    def read(self, node: Node, reading: Reading) -> T | None:
        values = self.values(node, reading)
        if values is None:
            return None
        try:
            return self.build(**values)
        except Mistake as mistake:
            reading.mistake(node, mistake)
            return None

    def values(self, node: Node, reading: Reading) -> dict[str, Any] | None:
        """The fields that are there, read, by name; None when one of them, or the mapping itself, is wrong."""
        if not isinstance(node.value, dict):
            mismatch(node, self.words, reading)
            return None
        before = len(reading.problems)
        unknown_keys(node, [entry.name for entry in self.fields], reading, self.hints)
        for one, other, remedy in self.apart:
            if one in node.value and other in node.value:
                reading.problem(node_of_key(node, one), f"expected {one} or {other}, found both", remedy)
        values = {}
        for entry in self.fields:
            child = node.value.get(entry.name)
            if child is not None:
                values[entry.name] = entry.form.read(child, reading)
            elif entry.required:
                reading.problem(node, f"expected the key {entry.name}, found none", entry.about)
        return values if len(reading.problems) == before and None not in values.values() else None

    def schema(self) -> dict[str, Any]:
        required = [entry.name for entry in self.fields if entry.required]
        return {
            "type": "object",
            "properties": {entry.name: {"description": entry.about, **entry.form.schema()} for entry in self.fields},
            "additionalProperties": False,
            **({"required": required} if required else {}),
        }


class Variants(Generic[T]):
    """A mapping that is exactly one of several, told apart by one key each.

    Where the key of one variant is an option of another (``dockerfile`` beside ``context``), the other wins.
    """

    def __init__(self, variants: Mapping[str, Record[T]], words: str, hints: Mapping[str, str] | None = None) -> None:
        self.variants = variants
        self.words = words
        self.hints = hints or {}

    def read(self, node: Node, reading: Reading) -> T | None:
        fields = node.value
        if not isinstance(fields, dict):
            mismatch(node, self.words, reading)
            return None
        present = [name for name in self.variants if name in fields]
        options = {entry.name for name in present for entry in self.variants[name].fields if entry.name != name}
        chosen = [name for name in present if name not in options]
        if len(chosen) == 1:
            return self.variants[chosen[0]].read(node, reading)
        if chosen:
            reading.problem(node, f"expected exactly one of {self._names()}, found {' and '.join(chosen)}", "keep one")
            return None
        unknown_keys(node, self._known(), reading, self.hints)
        reading.problem(node, f"expected exactly one of {self._names()}, found none of them")
        return None

    def _names(self) -> str:
        return ", ".join(self.variants)

    def _known(self) -> list[str]:
        return list(dict.fromkeys(entry.name for variant in self.variants.values() for entry in variant.fields))

    def schema(self) -> dict[str, Any]:
        return {"oneOf": [variant.schema() for variant in self.variants.values()]}


def unknown_keys(node: Node, known: list[str], reading: Reading, hints: Mapping[str, str] | None = None) -> None:
    """Note every key of the mapping at *node* that is not among *known*, with what was perhaps meant."""
    hints = hints or {}
    for name in node.value if isinstance(node.value, dict) else ():
        if name in known:
            continue
        remedy = hints.get(name) or reading.nearest(name, known) or hints.get("") or f"known are {', '.join(known)}"
        reading.problem(node_of_key(node, name), f"unknown key {quoted(name)}", remedy)
