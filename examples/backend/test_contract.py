"""The contract kit on this backend: `pytest test_contract.py`, as root."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from coopery_unshare.backend import UnshareBackend

from coopery.testing import BackendContract

if TYPE_CHECKING:
    from pathlib import Path

    from coopery.backend import Workshop


class TestUnshare(BackendContract):
    """`coopery_unshare` is a backend."""

    @pytest.fixture
    def open_backend(self) -> type[UnshareBackend]:
        """What makes a backend for a workshop: the class."""
        return UnshareBackend

    @pytest.fixture
    def unreachable(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Workshop], UnshareBackend]:
        """As where util-linux is missing, and its folder is no folder."""

        def make(workshop: Workshop) -> UnshareBackend:
            (workshop.home / "unshare").touch()
            monkeypatch.setenv("PATH", str(tmp_path))
            return UnshareBackend(workshop)

        return make
