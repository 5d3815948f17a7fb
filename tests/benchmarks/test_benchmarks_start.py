"""The benchmarks are no tests, and would rot unseen: each starts, and what decides about figures is tried."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import parts

FOLDER = parts.REPOSITORY / "benchmarks"


@pytest.mark.processes
@pytest.mark.parametrize("name", ["run.py", "registry.py", "engines.py"])
def test_it_starts(name: str) -> None:
    done = subprocess.run([sys.executable, FOLDER / name, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--json" in done.stdout


@pytest.mark.processes
def test_the_verdict_is_that_of_the_middle_round(tmp_path: Path) -> None:
    """Ratios of each round, not of sums: a round in which the machine was busy with something else weighs no more."""
    code = (
        f"import sys; sys.path.insert(0, {str(FOLDER)!r}); import engines\n"
        "engines.report({'docker 20': {'cold': [(1, 2), (30, 20), (1, 4)], 'small': [(1, 2)]}})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    cold, small = (line for line in done.stdout.splitlines() if line.endswith(("met", "MISSED")))
    assert cold.split()[-6:] == ["4.000", "0.500", "0.250", "1.500", "1.000", "met"]
    assert small.endswith("MISSED")
