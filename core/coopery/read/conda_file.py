"""Conda's ``environment.yml``, as people write them: read as conda does, but nothing is dropped without a word.

What conda passes over in silence (``name``, ``prefix``, notes for people) is passed over here; any other key that
conda would ignore is a mistake with its line, since whoever wrote it meant something by it.
"""

# ruff: noqa: D102 - what read and schema do is said once, at coopery.read.forms.Form

from __future__ import annotations

import os
import posixpath
from typing import Any, Final

from coopery.read.conda import CHANNELS, Dependencies, Packages, packages, require_channels
from coopery.read.forms import Text
from coopery.read.grammar import included_path
from coopery.read.node import Node
from coopery.read.reading import Reading
from coopery.read.records import Field, Record
from coopery.read.requirements import RequirementReader
from coopery.read.source import read_text
from coopery.read.yaml_text import parse

_IGNORED: Final = (
    "name", "prefix", "category", "platforms", "description", "title", "summary", "author", "authors", "maintainer",
    "maintainers", "license", "version", "homepage", "url", "tags", "comment", "comments", "notes", "created",
)  # fmt: skip
_HINTS: Final = {
    "": "conda would ignore it: remove it",
    "pip": "nest it: dependencies: [pip, {pip: [...]}]; conda itself ignores it here",
    "packages": "write dependencies:",
    "channel_priority": "channels are always tried strictly in their order: remove it",
    "channel-priority": "channels are always tried strictly in their order: remove it",
}


class _Anything:
    def read(self, node: Node, reading: Reading) -> Node | None:
        del reading  # nothing here can be wrong
        return node

    def schema(self) -> dict[str, Any]:
        return {}


class _Variables:
    """``variables:`` would have to become part of the image; the definition has a place for that."""

    def read(self, node: Node, reading: Reading) -> Node | None:
        if node.value not in ({}, []):
            remedy = "move them into the definition: steps: [{env: {NAME: value}}]"
            reading.problem(node.name_node, "expected no variables in a conda file", remedy)
        return node

    def schema(self) -> dict[str, Any]:
        return {"maxProperties": 0}


class CondaFile:
    """The path of a conda file, relative to the definition's folder."""

    def read(self, node: Node, reading: Reading) -> Packages | None:
        name = Text(included_path, "the path of a conda file").read(node, reading)
        if name is None:
            return None
        shown = os.path.normpath(os.path.join(os.path.dirname(node.file), name))
        text = read_text(os.path.join(reading.root, name), shown, reading, node)
        document = parse(text, shown, reading) if text is not None else None
        return None if document is None else read_conda_file(document, posixpath.dirname(name), reading)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1}


def read_conda_file(document: Node, folder: str, reading: Reading) -> Packages | None:
    """What the conda file *document* asks for; None after noting problems.

    Args:
        document: the parsed file.
        folder: its folder, from the definition's folder on: where ``-r`` under ``pip:`` starts from.
        reading: takes the problems.
    """
    if isinstance(document.value, dict):
        document = document.holding({key: item for key, item in document.value.items() if item.value is not None})

    def reader(node: Node, reading: Reading) -> RequirementReader:
        return RequirementReader(reading, folder, os.path.dirname(node.file))

    def build(**fields: Any) -> Packages:
        return packages(**{name: fields[name] for name in ("channels", "dependencies") if name in fields})

    known = (
        Field("channels", CHANNELS, "Channels, the first wins."),
        Field("dependencies", Dependencies(reader, lenient=True), "Match specs, and perhaps one pip: list."),
        Field("variables", _Variables(), "Not taken."),
        *(Field(name, _Anything(), "Ignored, as conda does.") for name in _IGNORED),
    )
    section = Record(build, known, "a conda environment (a mapping)", _HINTS).read(document, reading)
    require_channels(document, reading)
    return section
