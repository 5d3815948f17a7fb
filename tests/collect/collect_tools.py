"""Making a cache folder look old, and looking into it."""

from __future__ import annotations

import os
import time
from pathlib import Path

HOUR = 3600.0
DAY = 24 * HOUR


def age(root: Path, seconds: float) -> None:
    """Make everything in *root* look as if it had been made and used that long ago."""
    when = time.time() - seconds
    for path in (root, *root.rglob("*")):
        os.utime(path, (when, when), follow_symlinks=False)


def blobs(root: Path) -> set[str]:
    """Hexadecimal digits of the blobs in the cache folder *root*."""
    return {path.name for path in (root / "images" / "blobs" / "sha256").iterdir()}
