"""Plain data (dicts, lists, strings, …) → nodes, with the same bounds as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coopery.read.node import Node, Number, Unreadable, Value, child_path
from coopery.read.reading import Reading
from coopery.read.scalar import LARGEST
from coopery.read.yaml_text import MOST_DEPTH, MOST_NODES


def nodes(document: Any, reading: Reading) -> Node:
    """*document* as nodes that know their paths; a cycle ends at the bound on depth."""
    return _Copier(reading).node(document, "$", 0)


class _Copier:
    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.count = 0

    def node(self, value: Any, path: str, depth: int) -> Node:
        self.count += 1
        place = Node(None, path)
        if self.count > MOST_NODES or depth > MOST_DEPTH:
            if not isinstance(value, (str, int, float, type(None))) or self.count == MOST_NODES + 1:
                self.reading.problem(place, f"expected at most {MOST_NODES} values in {MOST_DEPTH} levels, found more")
            place.value = Unreadable()
            return place
        place.value = self._value(value, place, depth)
        return place

    def _value(self, value: Any, place: Node, depth: int) -> Value:
        if value is None or isinstance(value, (bool, str)):
            return value
        if isinstance(value, int):
            return value if abs(value) <= LARGEST else Number(str(value) if abs(value) < LARGEST**2 else "too large")
        if isinstance(value, float):
            return Number(repr(value))
        if isinstance(value, Mapping):
            return self._mapping(value, place, depth)
        if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
            return self._list(value, place, depth)
        self.reading.problem(place, f"expected plain data, found {type(value).__name__}")
        return Unreadable()

    def _list(self, value: Sequence[Any], place: Node, depth: int) -> Value:
        items = []
        for number, item in enumerate(value):
            if self.count > MOST_NODES:
                break
            items.append(self.node(item, f"{place.path}[{number}]", depth + 1))
        return items

    def _mapping(self, value: Mapping[Any, Any], place: Node, depth: int) -> Value:
        fields: dict[str, Node] = {}
        for key, item in value.items():
            if self.count > MOST_NODES:
                break
            if isinstance(key, str):
                fields[key] = self.node(item, child_path(place.path, key), depth + 1)
            else:
                self.reading.problem(place, f"expected text as a key, found {type(key).__name__}")
        return fields
