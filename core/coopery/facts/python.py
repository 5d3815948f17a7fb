"""The base's own Python: for pip without conda, and for people who manage Python themselves."""

from __future__ import annotations

import re
from typing import Final

from coopery.facts import libc
from coopery.facts.walk import find
from coopery.files import Files

_CANDIDATES: Final = ("/usr/local/bin/python3", "/usr/bin/python3", "/opt/conda/bin/python3", "/bin/python3")
_NAME: Final = re.compile(r"python(3\.\d{1,3})")
_WORD: Final = re.compile(rb"[\w.]")
_MAX_PROGRAM: Final = 64 << 20
"""Bytes of a program or library that are searched; a static one of 3.13 with debug information has 30 MB."""


def interpreter(files: Files) -> tuple[str | None, str | None]:
    """Path and ``major.minor`` of the first Python on the usual paths whose standard library is there too."""
    for path in _CANDIDATES:
        found = find(files, path)
        if found and found.stat and found.stat.kind == "file":
            version = _version(files, found.path)
            if version:
                return path, version
    return None, None


def release(files: Files, program: str, minor: str, platform: str) -> str | None:
    """All of the version, ``3.11.2``, of the interpreter at *program*; None where its files do not say it in one way.

    ``PY_VERSION`` is a string of the program or, where that is shared, of ``libpython``; linkers fold it into a longer
    one that ends like it, as ``/opt/python/3.11.2``. Source: CPython, ``patchlevel.h`` and ``getversion.c``.

    Args:
        files: the image.
        program: as `interpreter` gives it.
        minor: its ``major.minor``.
        platform: of the image; says where its libraries usually are.
    """
    stated = re.compile(rb"%s\.\d{1,3}(?:(?:a|b|rc)\d{1,3})?\+?\0" % re.escape(minor.encode()))
    beside = program.rpartition("/")[0].rpartition("/")[0] + "/lib"
    libraries = (f"{folder}/libpython{minor}.so.1.0" for folder in (beside, *libc.library_folders(platform)))
    for path in (program, *libraries):
        found = find(files, path)
        if found is None or found.stat is None or found.stat.kind != "file":
            continue
        versions = _stated(stated, files.read(found.path, _MAX_PROGRAM))
        if versions:
            return versions.pop() if len(versions) == 1 else None
    return None


def _stated(version: re.Pattern[bytes], data: bytes) -> set[str]:
    """What matches in *data* and is no end of a longer number or name."""
    found = (match for match in version.finditer(data) if not _WORD.match(data, match.start() - 1))
    return {match[0].rstrip(b"\0").decode() for match in found}


def _version(files: Files, program: str) -> str | None:
    folder, _, name = program.rpartition("/")
    library = folder.rpartition("/")[0] + "/lib"
    named = _NAME.fullmatch(name)
    if named:
        return named[1] if _is_library(files, f"{library}/{name}") else None
    found = find(files, library)
    names = files.listdir(found.path) if found else ()
    matches = [_NAME.fullmatch(entry) for entry in names]
    versions = [match[1] for match in matches if match and _is_library(files, f"{library}/{match[0]}")]
    return versions[0] if len(versions) == 1 else None  # two libraries and a nameless program: nobody can tell


def _is_library(files: Files, folder: str) -> bool:
    return find(files, f"{folder}/os.py") is not None or find(files, f"{folder}/os.pyc") is not None
