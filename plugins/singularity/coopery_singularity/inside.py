"""What the child of `coopery_singularity.namespace` does, where every file has its owner of the image."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


def main() -> None:
    """``… changes FOLDER`` writes what an overlay's upper folder holds to its output, as a tar; ``… remove FOLDER``."""
    verb, folder = sys.argv[2], Path(sys.argv[3])
    if verb == "changes":
        from coopery.snapshots import changes

        sys.exit(changes.main([str(folder)]))
    elif verb == "remove":
        _open(folder)
        shutil.rmtree(folder)
    else:
        raise ValueError(f"expected changes or remove, got {verb!r}")


def _open(folder: Path) -> None:
    """Make closed folders passable: overlay's own ``work`` has mode 0."""
    for parent, names, _ in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if not path.is_symlink():
                path.chmod(0o700)
