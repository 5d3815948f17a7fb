"""Debian control data: paragraphs of fields, and the relations between packages that stand in them.

Source: deb822(5); Debian Policy Manual, sections 5.1 and 7.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from attrs import frozen

from coopery_debian.version import OPERATORS

NAME: Final = re.compile(r"[a-z0-9][a-z0-9+.\-]+")
"""A package name. Policy, section 5.6.1."""

VERSION: Final = re.compile(r"[A-Za-z0-9.+:~\-]+")

_RELATION: Final = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.\-]+)(?::[a-z0-9]+)?\s*(?:\(\s*(?P<operator>[<>=]+)\s*(?P<version>[A-Za-z0-9][^\s)]*)\s*\))?"
)


def paragraph(text: str) -> dict[str, str]:
    """The fields of one paragraph. Lines that continue a field are kept, without their first blank."""
    fields: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        if line[:1] in (" ", "\t"):
            if name:
                fields[name] += "\n" + line[1:]
            continue
        name, colon, value = line.partition(":")
        if colon:
            fields[name] = value.strip()
    return fields


def paragraphs(text: str) -> Iterator[dict[str, str]]:
    """Every paragraph of *text* that has a field."""
    for block in re.split(r"\n[ \t]*\n", text):
        if fields := paragraph(block):
            yield fields


@frozen
class Relation:
    """One package that another asks for or refuses: ``libc6 (>= 2.34)``. The operator may be empty."""

    name: str
    operator: str = ""
    version: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.operator} {self.version})" if self.operator else self.name


def relations(field: str) -> tuple[tuple[Relation, ...], ...]:
    """``a (>= 1) | b, c`` as groups of alternatives. Architecture qualifiers (``:any``) are left out.

    Raises:
        ValueError: a relation that the grammar does not have.
    """
    groups = (group.strip() for group in field.replace("\n", " ").split(","))
    return tuple(tuple(_relation(one) for one in group.split("|")) for group in groups if group)


def _relation(text: str) -> Relation:
    found = _RELATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"not a relation between packages: {text.strip()!r}")
    # A single < or > is a spelling of <= and >= that policy deprecates and old indexes still have.
    operator = {"<": "<=", ">": ">="}.get(found["operator"] or "", found["operator"] or "")
    if operator and operator not in OPERATORS:
        raise ValueError(f"not a relation between versions: {operator!r} in {text.strip()!r}")
    return Relation(found["name"], operator, found["version"] or "")
