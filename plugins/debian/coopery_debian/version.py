"""Debian version numbers, compared as dpkg compares them.

Source: Debian Policy Manual, section 5.6.12, "Version".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

_PARTS: Final = re.compile(r"([^0-9]*)([0-9]*)")

_Part = tuple[tuple[tuple[int, ...], int], ...]
Key = tuple[int, _Part, _Part]

_TESTS: Final[dict[str, Callable[[Key, Key], bool]]] = {
    "<<": lambda have, want: have < want,
    "<=": lambda have, want: have <= want,
    "=": lambda have, want: have == want,
    ">=": lambda have, want: have >= want,
    ">>": lambda have, want: have > want,
}
OPERATORS: Final = frozenset(_TESTS)


@lru_cache(maxsize=4096)
def key(version: str) -> Key:
    """What to sort by. *version* is ``[epoch:]upstream[-revision]``; an epoch that is no number counts as 0."""
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, "0"  # "The absence of a debian_revision is equivalent to a debian_revision of 0"
    return (int(epoch) if epoch.isdecimal() else 0, _part(upstream), _part(revision))


def satisfies(have: str, operator: str, want: str) -> bool:
    """Whether *have* stands in the relation *operator* to *want*; an empty operator asks for nothing."""
    return not operator or _TESTS[operator](key(have), key(want))


def _part(text: str) -> _Part:
    """Runs of non-digits and of digits by turns. The expression also matches the empty end, which ends the key."""
    return tuple(
        ((*(_order(letter) for letter in letters), 0), int(digits or 0)) for letters, digits in _PARTS.findall(text)
    )


def _order(letter: str) -> int:
    """A tilde sorts before the end of the part (0), the end before letters, letters before everything else."""
    if letter == "~":
        return -1
    return ord(letter) if letter.isalpha() else ord(letter) + 0x110000
