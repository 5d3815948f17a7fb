"""A Python on this machine that makes the same bytecode as the one in the image: exactly its version.

Which one is found depends on the machine; what it compiles does not. The proof is in the tests.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from coopery.blobs import disk_error
from coopery.bytecode.python import Python
from coopery.layer import Entry

_ASK: Final = (
    "import platform, sys; "
    "print(platform.python_implementation(), platform.python_version(), sys.implementation.cache_tag)"
)
_SECONDS: Final = 30


def is_it(command: Sequence[str], python: Python) -> bool:
    """Whether *command* starts something here, and that is a CPython of exactly that version."""
    try:
        done = subprocess.run(
            [*command, "-s", "-S", "-B", "-c", _ASK],
            env={},
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.stdout.split() == [b"CPython", python.version.encode(), python.cache_tag.encode()]


def running(python: Python) -> tuple[str, ...] | None:
    """The interpreter that we run in, where it is the one."""
    same = platform.python_implementation() == "CPython" and platform.python_version() == python.version
    return _checked(sys.executable, python) if same and sys.executable else None


def installed(python: Python) -> tuple[str, ...] | None:
    """``python3.12`` on this machine's PATH, where it is the one."""
    found = shutil.which(f"python{python.minor}")
    return _checked(found, python) if found else None


def lay_out(entries: Iterable[Entry], root: Path) -> None:
    """Make *entries* real below *root*, by hard links where the file system has them; later ones win.

    Raises:
        FileExistsError: a path lies behind a link, or a file and a folder want one place.
        StoreFull, CacheError: the disk refused.
    """
    folders = {root}
    try:
        root.mkdir(exist_ok=True)
        for entry in entries:
            path = root / entry.path
            if entry.kind == "directory":
                _make_folder(path, folders)
                continue
            _make_folder(path.parent, folders)
            if path.is_dir() and not path.is_symlink():
                raise FileExistsError(f"{path} is a folder")
            path.unlink(missing_ok=True)
            _make(entry, path)
    except FileExistsError:
        raise
    except OSError as exc:
        raise disk_error(exc) from exc


def _checked(program: str, python: Python) -> tuple[str, ...] | None:
    return (program,) if is_it((program,), python) else None


def _make_folder(path: Path, folders: set[Path]) -> None:
    """A real folder at *path*: a link there would lead what comes below it out of our hands."""
    if path in folders:
        return
    _make_folder(path.parent, folders)
    try:
        path.mkdir()
    except FileExistsError:
        if path.is_symlink() or not path.is_dir():
            raise
    folders.add(path)


def _make(entry: Entry, path: Path) -> None:
    if entry.kind == "symlink":
        path.symlink_to(entry.target)
    elif isinstance(entry.source, bytes):
        path.write_bytes(entry.source)
        path.chmod(entry.mode)
    else:
        _link(entry.source, path)


def _link(source: Path, path: Path) -> None:
    try:
        os.link(source, path)
    except OSError:  # another file system, too many links, or none allowed: a copy is as good
        shutil.copy(source, path)
