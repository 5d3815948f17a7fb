"""What is small and would become large is refused: with an error of ours, in little memory, soon.

Source: the reliability promise "bombs are bounded". Each door in a process of its own, whose memory is its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import doors

from soak import SOAK

pytestmark = [pytest.mark.processes, pytest.mark.slow]

MEMORY = 300 << 20
SECONDS = 5.0
DISK = 300 << 20


@pytest.mark.parametrize("door", doors.DOORS)
def test_it_does_not_go_off(door: str, tmp_path: Path) -> None:
    argv = [sys.executable, doors.__file__, door, str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["ended"] == "refused", found
    assert found["rss"] < MEMORY, found
    assert found["written"] < DISK, found
    if SOAK:
        assert found["seconds"] < SECONDS, found
