"""The distributions, built once."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter."""
    with tempfile.TemporaryDirectory(prefix="coopery-packaging-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        subprocess.run(["rm", "-rf", name], check=False)  # rmtree trips over what belongs to subordinate ids


@pytest.fixture(scope="session")
def dist(open_folder: Path) -> Path:
    """A folder with a wheel and a source archive of each."""
    out = open_folder / "dist"
    subprocess.run([REPOSITORY / "scripts" / "wheels", out], check=True, capture_output=True)
    return out
