from __future__ import annotations

from pathlib import Path

import pytest

from coopery.layers.store import LayerStore
from layers import forest


@pytest.fixture
def store(tmp_path: Path) -> LayerStore:
    return forest.store(tmp_path / "home")
