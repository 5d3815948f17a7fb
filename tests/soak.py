"""How long tests go on: ``make test`` runs the short forms, ``make soak`` (``COOPERY_SOAK=1``) the long ones."""

from __future__ import annotations

import os

SOAK = os.environ.get("COOPERY_SOAK", "") not in ("", "0")
"""Whether this is the long run."""


def rounds(short: int, long: int) -> int:
    """How often something is done: *short* usually, *long* in ``make soak``."""
    return long if SOAK else short
