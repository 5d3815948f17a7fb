"""The kit on the example in examples/backend, by the example's own test."""

from __future__ import annotations

import pytest
from test_contract import TestUnshare

__all__ = ["TestUnshare"]

pytestmark = [pytest.mark.processes, pytest.mark.needs("chroot", "overlay")]
