"""The base's own Python: for pip without conda, and for people who manage Python themselves."""

from __future__ import annotations

import re
from typing import Final

from coopery.facts.walk import find
from coopery.files import Files

_CANDIDATES: Final = ("/usr/local/bin/python3", "/usr/bin/python3", "/opt/conda/bin/python3", "/bin/python3")
_NAME: Final = re.compile(r"python(3\.\d{1,3})")


def interpreter(files: Files) -> tuple[str | None, str | None]:
    """Path and ``major.minor`` of the first Python on the usual paths whose standard library is there too."""
    for path in _CANDIDATES:
        found = find(files, path)
        if found and found.stat and found.stat.kind == "file":
            version = _version(files, found.path)
            if version:
                return path, version
    return None, None


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
