"""What an unquoted YAML scalar means: the core schema of YAML 1.2 (section 10.3.2), and nothing of YAML 1.1.

So ``yes``, ``on`` and ``12:30`` are text, and ``0755`` is a number.
"""

from __future__ import annotations

from typing import Final

from coopery.read.node import Number, Value
from coopery.read.pattern import Pattern

_WORDS: Final[dict[str, bool | None]] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_INTEGER: Final = Pattern(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = Pattern(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)|NaN|[-+]?Infinity"
)
LARGEST: Final = 2**53 - 1
_MOST_DIGITS: Final = 20


def resolve(text: str) -> Value:
    """The value of the plain scalar *text*. Integers that JavaScript cannot hold come back as `Number`."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "-+.0123456789NI":  # nothing else begins a number; most scalars end here
        return text
    if _INTEGER.fullmatch(text):
        value = int(text, 0 if text[:2] in ("0o", "0x") else 10) if len(text) <= _MOST_DIGITS else LARGEST + 1
        return value if abs(value) <= LARGEST else Number(text)
    return Number(text) if _FLOAT.fullmatch(text) else text


def is_text(text: str) -> bool:
    """Whether *text*, written with no quotes, would be read as the string that it is."""
    return isinstance(resolve(text), str)
