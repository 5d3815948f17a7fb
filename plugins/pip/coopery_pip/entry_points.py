"""Commands that a wheel declares, and the scripts that start them.

Read here and not by `installer`, which trusts names: one with a slash is a path that leads anywhere (CVE-2026-47425).
Source: "entry points specification" of the Python Packaging User Guide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from attrs import frozen
from installer.scripts import Script

from coopery_pip.archive import WRONG_NAME

_GROUPS: Final = ("console_scripts", "gui_scripts")
_OBJECT: Final = re.compile(r"(?P<module>[^\s:\[]+)\s*:\s*(?P<attribute>[^\s:\[]+)\s*(?:\[[^\]]*\])?")
_PYTHON: Final = b"#!python"
_CODING: Final = b"\n# -*- coding"


@frozen
class Command:
    """``name = module:attribute``."""

    name: str
    module: str
    attribute: str

    def script(self, interpreter: str) -> bytes:
        """The script at ``bin/<name>``, run by *interpreter*, an absolute path in the image."""
        return Script(self.name, self.module, self.attribute, "console").generate(interpreter, "posix")[1]


def parse(text: str) -> tuple[Command, ...]:
    """The commands of an ``entry_points.txt``; of two with one name, the later counts.

    Raises:
        ValueError: a command is no plain file name, or what it names is no object of a module.
    """
    return tuple({command.name: command for command in _commands(text)}.values())


def with_interpreter(script: bytes, interpreter: str) -> bytes:
    """A wheel's own script with *interpreter* in place of the ``#!python`` that it begins with, if it does."""
    if not script.startswith(_PYTHON):
        return script
    launcher = Command("x", "x", "x").script(interpreter).partition(_CODING)[0]
    return launcher + b"\n" + script.partition(b"\n")[2]


def _commands(text: str) -> Iterator[Command]:
    group = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
        elif group in _GROUPS and line and not line.startswith(("#", ";")):
            yield _command(line)


def _command(line: str) -> Command:
    name, _, value = (part.strip() for part in line.partition("="))
    if not name or "/" in name or WRONG_NAME.search(name):
        raise ValueError(f"expected the name of a command, got {name!a} in the entry point {line!a}")
    match = _OBJECT.fullmatch(value)
    if match is None or not _dotted(match["module"]) or not _dotted(match["attribute"]):
        raise ValueError(f"expected 'module:function' behind the '=' of the entry point {line!a}")
    return Command(name, match["module"], match["attribute"])


def _dotted(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))
