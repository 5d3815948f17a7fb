"""Plain data → YAML text, in block style, with one spelling for each value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from coopery.read.pattern import Pattern
from coopery.read.scalar import is_text

# Needs no quotes: begins with a letter, a digit, / . or _, and has nothing in it that YAML could read as its own.
_PLAIN: Final = Pattern(r"[A-Za-z0-9_/.](?:[A-Za-z0-9_/.+*=<>!;@~()|,^$:-]|[ ](?=[^ #:-]))*")
_RESERVED: Final = Pattern(r":( |$)|[, ]$|^\.\.\.|^---")
# A script that reads as well in a block: no line begins or ends with a space or tab in a way that YAML would lose.
_BLOCK: Final = Pattern(r"[^ \t\n](?:[^\n]*\n)*[^\n]*\n?")


def write(document: dict[str, Any]) -> str:
    """*document* as YAML; ends with a line end."""
    return "\n".join(_mapping(document, "")) + "\n"


def _mapping(fields: dict[str, Any], indent: str) -> Iterator[str]:
    for key, value in fields.items():
        yield from _entry(f"{indent}{_scalar(key)}:", value, indent)


def _entry(head: str, value: Any, indent: str) -> Iterator[str]:
    """*head* (a key with its colon, or a dash) and the value that belongs to it."""
    if isinstance(value, dict) and value:
        yield head
        yield from _mapping(value, indent + "  ")
    elif isinstance(value, list) and value:
        yield head
        for item in value:
            yield from _item(item, indent + "  ")
    elif isinstance(value, str) and _fits_block(value):
        yield f"{head} |{'' if value.endswith(chr(10)) else '-'}"
        yield from (f"{indent}  {line}" if line else "" for line in value.removesuffix("\n").split("\n"))
    else:
        yield f"{head} {_scalar(value)}"


def _item(item: Any, indent: str) -> Iterator[str]:
    if isinstance(item, dict) and item:
        first, *rest = _mapping(item, indent + "  ")
        yield f"{indent}- {first.lstrip(' ')}"
        yield from rest
    else:
        yield from _entry(f"{indent}-", item, indent)


def _fits_block(text: str) -> bool:
    return "\n" in text.removesuffix("\n") and not text.endswith("\n\n") and bool(_BLOCK.fullmatch(text))


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and is_text(value) and not _RESERVED.search(value):
        return value
    return json.dumps(value)
