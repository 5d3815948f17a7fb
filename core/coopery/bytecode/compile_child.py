"""Runs in the interpreter of the image's Python: compiles modules to ``.pyc``, one request a line on standard input.

Standard library only, and nothing that a Python older than ours lacks: its text is handed to ``python -c``.

Marshal writes a reference flag for whatever has more than one owner (bpo-34093), so a module's bytes would depend on
what else the process holds. Here everything in a code tree is given a second owner before it is written, and the
one-character strings that all code shares are interned from the start: the bytes depend on the source alone.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import marshal
import os
import sys
import types
import warnings

_ATTRIBUTES = (
    "co_consts",
    "co_names",
    "co_varnames",
    "co_freevars",
    "co_cellvars",
    "co_filename",
    "co_name",
    "co_qualname",
    "co_linetable",
    "co_exceptiontable",
)
_UNCHECKED_HASH = 0b01  # PEP 552: hash-based, and the source is not looked at


def hold(value: object, held: list[object]) -> None:
    """Append *value* and all that is marshalled with it to *held*."""
    held.append(value)
    if isinstance(value, types.CodeType):
        members = _ATTRIBUTES if sys.version_info >= (3, 10) else (*_ATTRIBUTES, "co_code", "co_lnotab")
        for name in members:
            hold(getattr(value, name, None), held)
    elif isinstance(value, (tuple, frozenset)):
        for element in value:
            hold(element, held)


def compiled(source: bytes, name: str) -> bytes:
    """The bytes of an unchecked hash ``.pyc``. PEP 552."""
    code = compile(source, name, "exec", dont_inherit=True, optimize=0)
    held: list[object] = []
    hold(code, held)
    flags = _UNCHECKED_HASH.to_bytes(4, "little")
    return importlib.util.MAGIC_NUMBER + flags + importlib.util.source_hash(source) + marshal.dumps(code)


def answer(request: dict[str, str], source: bytes) -> dict[str, object]:
    """Compile one module and write it; say its size and sha256, or why there is nothing."""
    try:
        data = compiled(source, request["name"])
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as exc:
        return {"skipped": type(exc).__name__}
    with open(request["out"], "wb") as stream:
        stream.write(data)
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def main() -> None:
    """Answer until standard input ends."""
    warnings.simplefilter("ignore")
    for number in range(256):
        sys.intern(chr(number))
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in requests:
        request = json.loads(line)
        if "inline" in request:
            source = requests.read(int(request["inline"]))
        else:
            with open(request["path"], "rb") as stream:
                source = stream.read()
        answers.write(json.dumps(answer(request, source)).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
