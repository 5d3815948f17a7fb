"""The prefix that a package was built for, replaced by the one that it will live in.

Same bytes as py-rattler 0.28 writes; the tests compare. Source of the rules: conda's ``portability.py``, as every
conda client follows them, and the kernel's limit on the first line of a script (``fs/binfmt_script.c``).
"""

from __future__ import annotations

import re
from typing import Final

MAX_SHEBANG: Final = 127
"""Bytes of a first line that Linux reads for sure (``BINPRM_BUF_SIZE`` was 128 before Linux 5.1)."""

_SHEBANG: Final = re.compile(r"#!\s*((?:\\ |[^ \n\r\t])+)(.*)", re.DOTALL)
_PYTHON: Final = re.compile(r"python(\d+(\.\d+)?)?")


def replace_text(content: bytes, placeholder: str, prefix: str) -> bytes:
    """*content* of a text file, with *placeholder* replaced; a first line that gets too long goes through a shell."""
    old, new = placeholder.encode(), prefix.encode()
    if not content.startswith(b"#!"):
        return content.replace(old, new)
    end = content.find(b"\n")
    first, rest = (content, b"") if end < 0 else (content[:end], content[end:])
    line = _shebang(first.decode(errors="replace"), placeholder, prefix)
    return line.encode() + rest.replace(old, new)


def replace_binary(content: bytes, placeholder: str, prefix: str) -> bytes:
    """*content* of a binary, with *placeholder* replaced in every NUL-terminated string, padded with NULs behind.

    Raises:
        ValueError: the new prefix does not fit where the old one stands.
    """
    old, new = placeholder.encode(), prefix.encode()
    parts: list[bytes] = []
    done = 0
    while (start := content.find(old, done)) >= 0:
        end = content.find(b"\0", start)
        end = len(content) if end < 0 else end
        text = content[start:end].replace(old, new)
        if len(text) > end - start:
            raise ValueError(f"the prefix {prefix!r} is longer than the {len(old)} bytes that the package has room for")
        parts += (content[done:start], text.ljust(end - start, b"\0"))
        done = end
    return b"".join((*parts, content[done:]))


def launcher(interpreter: str) -> str:
    """The first lines of a Python script run by *interpreter*: a shebang, or a shell that finds its way."""
    line = f"#!{interpreter}"
    return line if len(line) <= MAX_SHEBANG and " " not in interpreter else f"#!/bin/sh\n{_through_shell(interpreter)}"


def _shebang(line: str, placeholder: str, prefix: str) -> str:
    replaced = line.replace(placeholder, prefix)
    if " " in prefix:  # a shebang's interpreter ends at the first space
        return _indirect(line).replace(placeholder, prefix) if placeholder in line else line
    return replaced if len(replaced.encode()) <= MAX_SHEBANG else _indirect(replaced)


def _indirect(line: str) -> str:
    match = _SHEBANG.match(line)
    if match is None:
        return line
    interpreter, options = match.groups()
    name = interpreter.rpartition("/")[2]
    if _PYTHON.fullmatch(name):
        return f"#!/bin/sh\n{_through_shell(interpreter, options)}"
    return f"#!/usr/bin/env {name}{options}"


def _through_shell(interpreter: str, options: str = "") -> str:
    """A line that a shell runs and that Python reads as a string."""
    return f"'''exec' \"{interpreter}\"{options} \"$0\" \"$@\" #'''"
