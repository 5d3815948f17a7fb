"""Removing a folder in which an engine worked: folders that nobody may enter, and perhaps mounts, are in it."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path


def remove(folder: Path) -> bool:
    """Remove *folder* and all below it; False where something is mounted there: it is somebody else's, and stays."""
    if not folder.exists():
        return True
    if has_mounts(folder):
        return False
    with suppress(OSError):
        folder.chmod(0o700)
    for top, folders, _ in os.walk(folder):
        for name in folders:
            path = os.path.join(top, name)
            if not os.path.islink(path):
                with suppress(OSError):
                    os.chmod(path, 0o700)
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def has_mounts(folder: Path) -> bool:
    """Whether anything is mounted at or below *folder*, as far as this process sees. Source: proc(5), mountinfo."""
    top = os.path.realpath(folder)
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return True  # it cannot be known
    points = (_unescaped(line.split(" ")[4]) for line in lines if line.count(" ") > 4)
    return any(point == top or point.startswith(f"{top}/") for point in points)


def _unescaped(text: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text
