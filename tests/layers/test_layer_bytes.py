"""The same bytes in any directory, umask, time zone, locale and hash seed, and with any number of workers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import parts

pytestmark = pytest.mark.processes

PROGRAM = """
import os, sys
from pathlib import Path
os.umask(int(sys.argv[2], 8))
from layers import forest
from layers.forest import made, many, small_environment
trees = small_environment()
source = Path(sys.argv[1], "source"); source.parent.mkdir(parents=True); source.write_bytes(b"content")
trees.append(forest.tree("disk", forest.Entry("opt/env/disk", source=source, size=7)))
layers = made(trees, forest.store(Path(sys.argv[1], "home")), workers=int(sys.argv[3]))
bucketed = made(many(40), forest.store(Path(sys.argv[1], "other")), below=105, workers=int(sys.argv[3]))
print(*(layer.digest for layer in layers + bucketed), sep="\\n")
"""

GOLDEN = "sha256:86bbe668d4731ce7d505c494c104c7aae6274feef1577ff8a3bb5cfe4ce3abcd"
"""Of the lowest layer. As in `test_layer_tar`: it changes only with the recipe."""


def cut(python: str, root: Path, seed: str, umask: str, zone: str, locale: str, workers: str, cwd: str) -> list[str]:
    environ = {
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "PYTHONHASHSEED": seed,
        "SOURCE_DATE_EPOCH": seed,
        "TZ": zone,
        "LC_ALL": locale,
        "PATH": os.environ["PATH"],
    }
    argv = [python, "-c", PROGRAM, str(root), umask, workers]
    done = subprocess.run(argv, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_bytes_do_not_depend_on_the_builder(tmp_path: Path) -> None:
    one = cut(sys.executable, tmp_path / "1", "0", "022", "UTC", "C", "1", "/")
    two = cut(sys.executable, tmp_path / "2", "1", "077", "Pacific/Auckland", "C.UTF-8", "2", str(tmp_path))
    three = cut(sys.executable, tmp_path / "3", "4242", "000", "America/Los_Angeles", "POSIX", "5", "/usr")
    assert one == two == three
    assert one[0] == GOLDEN


@pytest.mark.needs("second-python")
def test_bytes_do_not_depend_on_the_version_of_python(tmp_path: Path) -> None:
    other = parts.second_python()
    assert other is not None
    arguments = ("0", "022", "UTC", "C", "2", "/")
    assert cut(other, tmp_path / "other", *arguments) == cut(sys.executable, tmp_path / "this", *arguments)
