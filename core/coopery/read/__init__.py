"""Reading definitions: YAML, JSON or plain data in, `coopery.definition.Environment` out, every mistake at once.

This is on the way to every cache hit, so it imports ruamel.yaml and attrs and nothing else that is heavy.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from attrs import evolve

from coopery.definition import Environment
from coopery.read.environment import ENVIRONMENT
from coopery.read.node import Node
from coopery.read.plain import nodes
from coopery.read.reading import Reading
from coopery.read.source import read_text
from coopery.read.yaml_text import parse

__all__ = ["dump", "from_dict", "load", "to_dict"]


def load(path: str | os.PathLike[str]) -> Environment:
    """Read a definition from a YAML or JSON file.

    Files that it names under ``conda`` and ``pip`` are read as well; nothing else is touched.

    Raises:
        DefinitionError: every mistake in it, each with file, line, column and field path.
    """
    shown = os.fspath(path)
    reading = Reading(Path(os.path.abspath(shown)).parent if "\0" not in shown else Path())
    text = read_text(shown, shown, reading, Node(None, file=shown))
    document = parse(text, shown, reading) if text is not None else None
    return evolve(_finish(document, reading), file=Path(os.path.abspath(shown)))


def from_dict(document: Mapping[str, Any], root: str | os.PathLike[str] = ".") -> Environment:
    """Check a definition given as plain data, in the same form as the YAML file.

    Args:
        document: dicts, lists, strings, integers, booleans.
        root: folder that relative paths start from.

    Raises:
        DefinitionError: every mistake in it, each with its field path.
    """
    reading = Reading(Path(os.path.abspath(root)))
    return _finish(nodes(document, reading), reading)


def _finish(document: Node | None, reading: Reading) -> Environment:
    environment = ENVIRONMENT.read(document, reading) if document is not None else None
    reading.finish()
    if environment is None:
        raise AssertionError("a definition was refused without a problem")
    return evolve(environment, root=reading.root, places=partial(_place, document, reading.lines))


def _place(node: Node | None, lines: Mapping[str, Node], value: str) -> str:
    """``file:line:column: $.field.path`` of the first scalar that is *value*, or of a line of a requirements file."""
    waiting = [node] if node is not None and node.line else []
    if value in lines and waiting:
        waiting.insert(0, lines[value])
    while waiting:
        node = waiting.pop()
        if node.value == value or node is lines.get(value):
            return f"{node.file}:{node.line}:{node.column}: {node.path}"
        if isinstance(node.value, dict):
            waiting += reversed(node.value.values())
        elif isinstance(node.value, list):
            waiting += reversed(node.value)
    return ""


def to_dict(environment: Environment) -> dict[str, Any]:
    """*environment* as plain data that `from_dict` reads back equal; what is at its default is left out."""
    from coopery.read.plain_out import document

    return document(environment)


def dump(environment: Environment) -> str:
    """*environment* as YAML that `load` reads back equal. Conda and requirement files have been inlined."""
    from coopery.read.plain_out import document
    from coopery.read.yaml_out import write

    return write(document(environment))
