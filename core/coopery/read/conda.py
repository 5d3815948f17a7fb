"""What conda sections and conda files have in common: channels, dependencies, and a nested ``pip:``."""

# ruff: noqa: D102 - what read and schema do is said once, at coopery.read.forms.Form

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from coopery.definition import Conda, Pip
from coopery.read.channel import channels
from coopery.read.forms import Listing, Text, mismatch
from coopery.read.match_spec import match_spec
from coopery.read.node import Node
from coopery.read.pip import PipLines
from coopery.read.reading import Reading
from coopery.read.records import unknown_keys
from coopery.read.requirements import RequirementReader

SPEC: Final = Text(match_spec, "a match spec")
CHANNELS: Final = Listing(Text(channels, "a channel"), "a list of channels")
_DEPENDENCIES_WORDS: Final = "a list of match specs"


class Packages(NamedTuple):
    """What a conda section, or a conda file, asks for: conda's packages, and pip's where a ``pip:`` is nested."""

    conda: Conda | None
    pip: Pip | None = None


class Dependencies:
    """A list of match specs with at most one ``{pip: […]}`` among them.

    Attributes:
        requirements: makes the reader for the nested list; it knows the folder that ``-r`` starts from.
        lenient: whether empty items are passed over, as they are in conda files.
    """

    def __init__(self, requirements: Callable[[Node, Reading], RequirementReader], lenient: bool = False) -> None:
        self.requirements = requirements
        self.lenient = lenient

    def read(self, node: Node, reading: Reading) -> Packages | None:
        if not isinstance(node.value, list):
            mismatch(node, _DEPENDENCIES_WORDS, reading)
            return None
        before, specs, nested = len(reading.problems), [], None
        for item in node.value:
            if isinstance(item.value, dict):
                if nested is not None:
                    reading.problem(item, "expected one pip: list, found a second", "join the two lists")
                nested = self._nested(item, reading)
            elif not (self.lenient and item.value is None):
                specs.append(SPEC.read(item, reading))
        if len(reading.problems) != before:
            return None
        return Packages(Conda((), tuple(spec for spec in specs if spec is not None)), nested)

    def _nested(self, item: Node, reading: Reading) -> Pip | None:
        fields = item.value if isinstance(item.value, dict) else {}
        if "pip" not in fields and len(fields) == 1:
            (name, child), *_ = fields.items()
            written = f"{name}={child.raw or child.value}" if isinstance(child.value, (str, int)) or child.raw else name
            reading.problem(item, "expected a match spec or {pip: [...]}, found a mapping", f"write {written}")
            return None
        unknown_keys(item, ["pip"], reading)
        nested = fields.get("pip")
        if nested is None or (self.lenient and nested.value is None):
            return Pip()
        return PipLines().read_from(nested, self.requirements(nested, reading))

    def schema(self) -> dict[str, Any]:
        nested = {
            "type": "object",
            "properties": {"pip": PipLines().schema()},
            "required": ["pip"],
            "additionalProperties": False,
        }
        return {"type": "array", "items": {"oneOf": [{"type": "string", "minLength": 1}, nested]}}


def packages(
    *,
    channels: tuple[tuple[str, ...], ...] = (),
    dependencies: Packages | None = None,
    file: Packages | None = None,
) -> Packages:
    """Put the fields of a section together. No channel is kept twice: the first place counts."""
    if file is not None:
        return file
    dependencies = dependencies or Packages(None)
    specs = dependencies.conda.dependencies if dependencies.conda else ()
    flat = tuple(dict.fromkeys(channel for entry in channels for channel in entry))
    conda = Conda(flat, specs) if specs or flat else None
    return Packages(conda, dependencies.pip if dependencies.pip != Pip() else None)


def require_channels(node: Node, reading: Reading) -> None:
    """Note when packages are asked for and no channel is named: nothing is assumed."""
    fields = node.value if isinstance(node.value, dict) else {}
    specs, named = fields.get("dependencies"), fields.get("channels")
    asked = isinstance(specs.value, list) and any(isinstance(s.value, str) for s in specs.value) if specs else False
    names = named.value if named is not None and isinstance(named.value, list) else []
    if not asked or any(name.value != "nodefaults" for name in names):
        return
    if named is not None and not isinstance(named.value, list) and named.value is not None:
        return  # of the wrong type: noted already
    reading.problem(named or node, "expected a channel, found none", "write channels: [conda-forge]")


def beside_definition(node: Node, reading: Reading) -> RequirementReader:
    """A reader whose files start from the definition's own folder."""
    return RequirementReader(reading, shown=os.path.dirname(node.file))
