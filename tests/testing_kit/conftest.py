"""The example backend, which is the reference that the kit is tried on."""

from __future__ import annotations

import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "backend"

sys.path[:0] = [str(EXAMPLE), str(Path(__file__).parents[1])]
