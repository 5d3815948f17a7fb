"""The part of YAML that lock files are written in: block mappings and lists of scalars, one value on a line.

Any YAML reader takes what `write` makes. `parse` takes only this part, so that every line means one thing, each value
has a line to point at, and a file of five hundred packages is read in milliseconds: it is on the way to a build.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn

MOST_LINES: Final = 400_000
MOST_DEPTH: Final = 16

_LINE: Final = re.compile(
    r'(?P<spaces> *)(?P<dash>- )?(?:(?P<key>[A-Za-z_][A-Za-z0-9_./-]*|"(?:[^"\\]|\\.)*"):(?: |$))?(?P<value>.*)'
)
_PLAIN: Final = re.compile(r"(?:[A-Za-z_/]|\.\.?/)[A-Za-z0-9_./@:+=~%,!*<>|()\[\]'-]*(?<!:)")
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_INTEGER: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity"})
"""What some reader of YAML takes for something else than text."""
_VALUES: Final[Mapping[str, bool]] = {"true": True, "false": False}
_CONFLICT: Final = ("<<<<<<<", "=======", ">>>>>>>", "|||||||")


class Block(dict[str, Any]):
    """A mapping, and the line (1-based) that each key stands on."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, int] = {}


class Items(list[Any]):
    """A list, and the line that each item begins on."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[int] = []


class Unreadable(ValueError):  # noqa: N818 - says what the text is; becomes a Problem where the file is known
    """The text is not in this form. ``line`` is where, 1-based; ``remedy`` what to do."""

    def __init__(self, line: int, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.line = line
        self.message = message
        self.remedy = remedy


def write(value: Mapping[str, Any]) -> str:
    """*value* as text that `parse` reads back equal: one form for equal values, in the order of their keys.

    Args:
        value: mappings, lists, strings, integers from 0 to 2**53, booleans; no list directly within a list.
    """
    return "".join(f"{line}\n" for line in _written(value, 0))


def _written(value: Any, level: int) -> Iterator[str]:
    indent = "  " * level
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _pair(f"{indent}{_key(key)}:", inner, level)
        return
    for inner in value:
        if isinstance(inner, Mapping) and inner:
            first, *rest = _written(inner, level + 1)
            yield f"{indent}- {first.lstrip(' ')}"
            yield from rest
        else:
            yield f"{indent}- {_scalar(inner) if inner != {} else '{}'}"


def _pair(head: str, inner: Any, level: int) -> Iterator[str]:
    if not isinstance(inner, (Mapping, list, tuple)):
        yield f"{head} {_scalar(inner)}"
    elif not inner:
        yield f"{head} {'{}' if isinstance(inner, Mapping) else '[]'}"
    else:
        yield head
        yield from _written(inner, level + 1)


def _key(text: str) -> str:
    return text if _PLAIN_KEY.fullmatch(text) and text.lower() not in _WORDS else _quoted(text)


def _scalar(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return value if _PLAIN.fullmatch(value) and value.lower() not in _WORDS else _quoted(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=not text.isprintable())


def parse(text: str) -> Block:
    """The mapping in *text*.

    Raises:
        Unreadable: a line is not in this form, or a key stands twice.
    """
    return _Parser().parse(text.replace("\r\n", "\n"))


class _Parser:
    def __init__(self) -> None:
        self.root = Block()
        self.stack: list[Block | Items] = [self.root]
        self.waiting: tuple[Block, str] | None = None
        self.line = 0

    def parse(self, text: str) -> Block:
        lines = text.split("\n")
        if len(lines) > MOST_LINES:
            raise Unreadable(MOST_LINES, f"expected at most {MOST_LINES} lines, found {len(lines)}")
        for self.line, line in enumerate(lines, 1):
            stripped = line.lstrip(" ")
            if stripped and stripped[0] != "#":
                self._take(line)
        if self.waiting is not None:
            self._fail("expected a value for the last key, found the end of the file")
        return self.root

    def _take(self, line: str) -> None:
        found = _LINE.fullmatch(line)
        if found is None or "\t" in line:
            self._fail("expected `key: value` or `- value`, found something else", _way_out(line))
        spaces, dash, key, value = found.groups()
        level, odd = divmod(len(spaces), 2)
        holder = self._holder(level, odd, dash is not None)
        if dash is not None:
            if not isinstance(holder, Items):
                self._fail("expected `key: value`, found an item of a list")
            holder.lines.append(self.line)
            if key is None:
                holder.append(self._value(value))
                return
            block = Block()
            holder.append(block)
            self.stack.append(block)
            holder = block
        if key is None or not isinstance(holder, Block):
            self._fail("expected `key: value`, found something else", _way_out(line))
        self._put(holder, key if key[0] != '"' else self._text(key), value)

    def _holder(self, level: int, odd: int, item: bool) -> Block | Items:
        depth = len(self.stack)
        if self.waiting is not None:
            if odd or level != depth:
                self._fail(f"expected {2 * depth} spaces in front of a value of the key above", "indent by two")
            if depth >= MOST_DEPTH:
                self._fail(f"expected at most {MOST_DEPTH} levels, found more")
            parent, key = self.waiting
            self.waiting = None
            opened: Block | Items = Items() if item else Block()
            parent[key] = opened
            self.stack.append(opened)
            return opened
        if odd or level >= depth:
            self._fail("expected two spaces for each level, and no more levels than the line above opens")
        del self.stack[level + 1 :]
        return self.stack[level]

    def _put(self, holder: Block, key: str, value: str) -> None:
        if key in holder.lines:
            self._fail(f"{key!a} stands twice, first on line {holder.lines[key]}", "keep one of them")
        holder.lines[key] = self.line
        if value:
            holder[key] = self._value(value)
        else:
            self.waiting = (holder, key)

    def _value(self, text: str) -> Any:
        if _PLAIN.fullmatch(text):
            return _VALUES.get(text, text)
        if text[:1] == '"':
            return self._text(text)
        if _INTEGER.fullmatch(text):
            return int(text)
        if text not in ("[]", "{}"):
            self._fail(f"expected a value, found {text[:60]!a}", "put text that is no plain word in double quotes")
        return Items() if text == "[]" else Block()

    def _text(self, quoted: str) -> str:
        try:
            text = json.loads(quoted)
        except ValueError:
            self._fail(f"expected text in double quotes, found {quoted[:60]!a}", "write it as JSON does")
        if not isinstance(text, str):
            raise AssertionError("what begins with a quote is text")
        return text

    def _fail(self, message: str, remedy: str = "") -> NoReturn:
        raise Unreadable(self.line, message, remedy)


def _way_out(line: str) -> str:
    if line.startswith(_CONFLICT):
        return "this is a merge conflict: take either side whole, then run `coopery lock`"
    return "use spaces, no tabs" if "\t" in line else ""
