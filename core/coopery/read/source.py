"""Reads one text file, strictly: a regular file, of bounded size, UTF-8 with no byte order mark."""

from __future__ import annotations

import os
import stat
from typing import Final

from coopery import spelled
from coopery.read.characters import first_refused, name
from coopery.read.node import Node
from coopery.read.reading import Mistake, Reading

MOST_BYTES: Final = 1 << 20
LONGEST_LINE: Final = 1 << 16  # the YAML parser takes the square of a line's length over some of its tokens


def read_text(path: str, shown: str, reading: Reading, asker: Node, most: int = MOST_BYTES) -> str | None:
    """Text of the file at *path*, which the user knows as *shown*; None after noting why it cannot be had.

    Args:
        path: what to open.
        shown: what to call it in messages.
        reading: takes the problems.
        asker: the node that names the file; for the definition itself, a node with no line.
        most: bytes that it may have; lock files are longer than definitions.
    """
    try:
        data = _read_bytes(path, most)
        return _decode(data)
    except Mistake as mistake:
        subject = "" if asker.file == shown else f"{spelled.line(shown)}: "
        reading.problem(asker, subject + mistake.message, mistake.remedy)
    except _BadByte as bad:
        place = Node(None, "$", shown, bad.line, bad.column)
        reading.problem(place, bad.message, bad.remedy)
    return None


class _BadByte(Exception):  # noqa: N818 - carries a place inside the file; never leaves this module
    def __init__(self, before: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.line = before.count("\n") + 1
        self.column = len(before) - (before.rfind("\n") + 1) + 1
        self.message = message
        self.remedy = remedy


def _read_bytes(path: str, most: int) -> bytes:
    """Open without blocking on a pipe, and look at what was opened rather than at what the name was."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise Mistake("expected a file, found none", "check the path and the working directory") from None
    except (OSError, ValueError) as exc:
        raise Mistake(f"cannot be read: {_reason(exc)}") from exc
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise Mistake("expected a file, found a folder", "name the file inside it")
        if not stat.S_ISREG(mode):
            raise Mistake("expected a regular file, found a pipe, socket or device")
        with open(descriptor, "rb", closefd=False) as stream:
            data = stream.read(most + 1)
    except OSError as exc:
        raise Mistake(f"cannot be read: {_reason(exc)}") from exc
    finally:
        os.close(descriptor)
    if len(data) > most:
        remedy = "a definition is a page or two of text" if most == MOST_BYTES else ""
        raise Mistake(f"expected at most {most} bytes, found more", remedy)
    return data


def _reason(exc: OSError | ValueError) -> str:
    return (exc.strerror or str(exc)) if isinstance(exc, OSError) else str(exc)


def _decode(data: bytes) -> str:
    if data.startswith(b"\xef\xbb\xbf"):
        raise _BadByte("", "expected UTF-8 without a byte order mark, found one", "save the file as plain UTF-8")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        before = data[: exc.start].decode("utf-8")
        message = f"expected UTF-8, found byte 0x{data[exc.start]:02x}"
        raise _BadByte(before, message, "save the file as plain UTF-8") from None
    if len(text) > LONGEST_LINE:
        _check_lines(text)
    refused = first_refused(text)
    if refused is not None:
        before = text[: refused.start()]
        raise _BadByte(before, f"expected printable text, found {name(refused[0])}", "take that character out")
    return text


def _check_lines(text: str) -> None:
    at = 0
    for line in text.split("\n"):
        if len(line) > LONGEST_LINE:
            message = f"expected lines of at most {LONGEST_LINE} characters, found one of {len(line)}"
            raise _BadByte(text[:at], message, "")
        at += len(line) + 1
