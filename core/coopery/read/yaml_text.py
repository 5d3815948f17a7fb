"""YAML or JSON text → nodes. Strict and bounded; built from parser events, so nothing is ever constructed.

JSON is read by the same parser, as a YAML flow collection. ruamel.yaml enters Coopery through this file alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from coopery.read.characters import joined_surrogates
from coopery.read.node import Node, Unreadable, Value, child_path, quoted
from coopery.read.reading import Mistake, Reading
from coopery.read.scalar import resolve

if TYPE_CHECKING:
    from ruamel.yaml.events import Event

MOST_NODES: Final = 10_000
MOST_DEPTH: Final = 32
_TOO_DEEP: Final = f"expected at most {MOST_DEPTH} levels, found more"
_TEXT_TAGS: Final = ("!", "tag:yaml.org,2002:str")
_COLLECTION_TAGS: Final = ("!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_TOKEN_OR_TAB: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"|\t')


def parse(text: str, file: str, reading: Reading, most_nodes: int = MOST_NODES) -> Node | None:
    """The one document in *text*; None after noting why there is none.

    Mistakes inside a document that can still be followed (a key twice, a tag) are noted, and the document returned.

    Args:
        text: all of it.
        file: as the user named it.
        reading: takes the problems.
        most_nodes: values that it may hold, aliases written out.
    """
    if file.endswith(".json"):  # YAML takes no tab after a colon, JSON does; columns stay as they are
        text = _TOKEN_OR_TAB.sub(lambda token: " " if token[0] == "\t" else token[0], text)
    composer = _Composer(file, reading, most_nodes)
    try:
        return composer.document(_events(text))
    except Mistake as mistake:
        reading.problem(composer.here(), mistake.message, mistake.remedy)
    except Exception as exc:  # the parser's own errors, and whatever else it raises on junk: all mean "no YAML"
        problem = getattr(exc, "problem", None) or "it cannot be parsed"
        mark = getattr(exc, "problem_mark", None)
        place = Node(None, "$", file, mark.line + 1, mark.column + 1) if mark else composer.here()
        reading.problem(place, f"expected YAML, found a syntax error: {problem}", _way_out(text, problem))
    return None


def _events(text: str) -> Iterator[Event]:
    from ruamel.yaml import YAML

    events: Iterator[Event] = YAML(typ="safe", pure=True).parse(text)
    return events


def _way_out(text: str, problem: str) -> str:
    if "{{" in text or "{%" in text:
        return "this looks like a template: render it first"
    if r"'\t'" in problem:
        return "indent with spaces"
    if "mapping values" in problem:
        return "put text that contains a colon and a space in quotes"
    return ""


class _Open:
    """A collection that has begun and not ended, and in a mapping the key that waits for its value."""

    __slots__ = ("anchor", "fields", "items", "key", "key_event", "node")

    def __init__(self, node: Node, anchor: str | None) -> None:
        self.node = node
        self.anchor = anchor
        self.fields = node.value if isinstance(node.value, dict) else None
        self.items = node.value if isinstance(node.value, list) else None
        self.key: str | None = None
        self.key_event: Event | None = None

    @property
    def wants_key(self) -> bool:
        return self.fields is not None and self.key_event is None


class _Composer:
    def __init__(self, file: str, reading: Reading, most_nodes: int) -> None:
        self.file = file
        self.reading = reading
        self.most_nodes = most_nodes
        self.count = 0
        self.open: list[_Open] = []
        self.anchors: dict[str, Node] = {}
        self.event: Event | None = None
        self.root: Node | None = None

    def here(self) -> Node:
        """The place of the event at hand."""
        mark = self.event.start_mark if self.event is not None else None
        return Node(None, self._path(), self.file, mark.line + 1 if mark else 1, mark.column + 1 if mark else 1)

    def document(self, events: Iterator[Event]) -> Node:
        documents = 0
        for event in events:
            self.event = event
            kind = type(event).__name__
            if kind == "DocumentStartEvent":
                documents += 1
                if documents > 1:
                    raise Mistake("expected one document, found a second", "keep each definition in a file of its own")
            elif kind == "ScalarEvent":
                self._scalar(event)
            elif kind in ("MappingStartEvent", "SequenceStartEvent"):
                self._begin(event, {} if kind[0] == "M" else [])
            elif kind in ("MappingEndEvent", "SequenceEndEvent"):
                self._end()
            elif kind == "AliasEvent":
                self._alias(event)
        if self.root is None:
            raise Mistake("expected a definition, found an empty file", "the shortest one is: base: scratch")
        return self.root

    # --- events ----------------------------------------------------------------------------------

    def _scalar(self, event: Any) -> None:
        text: str = event.value
        if not text.isascii():
            text = joined_surrogates(text)
        holder = self.open[-1] if self.open else None
        if holder is not None and holder.wants_key:
            self._key(holder, text, event)
            return
        tag, plain = event.tag, event.style is None or event.style == ""
        value: Value = text
        if tag is None:
            value = resolve(text) if plain else text
        elif str(tag) not in _TEXT_TAGS:
            value = self._refuse_tag(str(tag))
        self._put(self._node(value, event, raw=text if value is not text else ""), event.anchor)

    def _key(self, holder: _Open, text: str, event: Any) -> None:
        holder.key_event = event
        plain = event.style is None or event.style == ""
        if event.tag is not None and str(event.tag) not in _TEXT_TAGS:
            self._refuse_tag(str(event.tag))
        elif event.anchor is not None:
            self.reading.problem(self.here(), "expected a plain key, found an anchor on it", "anchor the value")
        elif plain and text == "<<":
            self.reading.problem(self.here(), "expected a key, found a merge key (<<)", "write the fields out")
        elif plain and not isinstance(resolve(text), str):
            remedy = f'write "{text}" in quotes' if text else ""
            self.reading.problem(self.here(), f"expected text as a key, found {text or 'nothing'}", remedy)
        else:
            self._first_use(holder, text)

    def _first_use(self, holder: _Open, text: str) -> None:
        earlier = holder.fields.get(text) if holder.fields is not None else None
        if earlier is not None:
            place = self.here()
            place.path = child_path(holder.node.path, text)
            self.reading.problem(
                place, f"key {quoted(text)} stands twice, first on line {earlier.key[0]}", "keep one of them"
            )
            return
        holder.key = text

    def _begin(self, event: Any, value: Value) -> None:
        holder = self.open[-1] if self.open else None
        if len(self.open) >= MOST_DEPTH:
            raise Mistake(_TOO_DEEP)
        if holder is not None and holder.wants_key:
            raise Mistake(
                "expected text as a key, found a list or a mapping", "if this is a {{ template }}, render it first"
            )
        if event.tag is not None and str(event.tag) not in _COLLECTION_TAGS:
            self._refuse_tag(str(event.tag))
        self.open.append(_Open(self._node(value, event), event.anchor))

    def _end(self) -> None:
        done = self.open.pop()
        self._put(done.node, done.anchor)

    def _alias(self, event: Any) -> None:
        known = self.anchors.get(event.anchor)
        holder = self.open[-1] if self.open else None
        if known is None:
            raise Mistake(f"expected an anchor that is defined above, found *{event.anchor}")
        if holder is not None and holder.wants_key:
            raise Mistake("expected text as a key, found an alias", "write the key out")
        self._put(self._copy(known, self._path(), len(self.open)), None)

    # --- building --------------------------------------------------------------------------------

    def _refuse_tag(self, tag: str) -> Unreadable:
        short = tag.replace("tag:yaml.org,2002:", "!!")
        self.reading.problem(self.here(), f"expected plain YAML, found the tag {quoted(short)}", "leave the tag away")
        return Unreadable()

    def _path(self) -> str:
        if not self.open:
            return "$"
        holder = self.open[-1]
        if holder.items is not None:
            return f"{holder.node.path}[{len(holder.items)}]"
        return child_path(holder.node.path, holder.key) if holder.key is not None else holder.node.path

    def _node(self, value: Value, event: Any, raw: str = "") -> Node:
        self._count()
        mark = event.start_mark
        return Node(value, self._path(), self.file, mark.line + 1, mark.column + 1, raw)

    def _count(self) -> None:
        self.count += 1
        if self.count > self.most_nodes:
            raise Mistake(f"expected at most {self.most_nodes} values, aliases written out; found more")

    def _put(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self.anchors[anchor] = node
        if not self.open:
            self.root = node
            return
        holder = self.open[-1]
        if holder.items is not None:
            holder.items.append(node)
        elif holder.fields is not None:
            if holder.key is not None and holder.key_event is not None:
                mark = holder.key_event.start_mark
                node.key = (mark.line + 1, mark.column + 1)
                if node.value is None and not node.raw:  # nothing stands there: the parser is on another line already
                    node.line, node.column = node.key
                holder.fields[holder.key] = node
            holder.key = holder.key_event = None

    def _copy(self, node: Node, path: str, depth: int) -> Node:
        """*node* again below another path, *depth* levels down."""
        self._count()
        if depth > MOST_DEPTH:
            raise Mistake(_TOO_DEEP)
        twin = Node(node.value, path, node.file, node.line, node.column, node.raw)
        twin.key = node.key
        if isinstance(node.value, list):
            twin.value = [self._copy(item, f"{path}[{number}]", depth + 1) for number, item in enumerate(node.value)]
        elif isinstance(node.value, dict):
            twin.value = {key: self._copy(item, child_path(path, key), depth + 1) for key, item in node.value.items()}
        return twin
