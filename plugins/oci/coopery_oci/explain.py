"""Why a program could not be started, in words: the kernel gives a number, the image's files say the rest."""

from __future__ import annotations

import errno
import os

from coopery.facts import elf, find
from coopery.files import Files
from coopery_oci.process import Process


def explain(process: Process, files: Files, number: int) -> str:
    """Why *process* could not be started in the image with *files*; *number* is the errno."""
    name = process.argv[0]
    for path in process.candidates(name):
        found = find(files, path)
        if found is not None and found.stat is not None:
            if number == errno.EACCES:
                return f"{path} cannot be executed: it is a {found.stat.kind} with mode {found.stat.mode:04o}"
            if number == errno.ENOEXEC:
                return f"{path} is no program of this platform, and no script with a '#!' line"
            missing = _missing_interpreter(files, found.path) if found.stat.kind == "file" else None
            if missing is not None:
                return f"{path} cannot be started: it needs {missing}, which is not in the image"
    if number == errno.ENOENT:
        where = "" if "/" in name else f"; looked in {process.env.get('PATH', '')}"
        return f"{name!r} is not in the image{where}"
    return f"{name!r} cannot be started: {os.strerror(number)}"


def _missing_interpreter(files: Files, program: str) -> str | None:
    """What the file *program* names as its interpreter, by ``#!`` or PT_INTERP, if the image lacks it."""
    head = files.read(program, elf.READ)
    if head.startswith(b"#!"):
        words = head[2:].partition(b"\n")[0].decode("utf-8", "replace").split()
        wanted = words[0] if words else None
    else:
        wanted = elf.interpreter(head)
    return wanted if wanted is not None and find(files, wanted) is None else None
