"""The kit on the materializers that ship here, and on the example of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from coopery.testing import MaterializerContract, MaterializerScene
from testing_kit import materializer_scenes

pytestmark = [pytest.mark.processes]


class TestJars(MaterializerContract):
    @pytest.fixture
    def scene(self, tmp_path: Path) -> MaterializerScene:
        return materializer_scenes.jars(tmp_path / "index")


class TestConda(MaterializerContract):
    @pytest.fixture
    def scene(self, tmp_path: Path) -> MaterializerScene:
        return materializer_scenes.conda(tmp_path / "index")


class TestPip(MaterializerContract):
    @pytest.fixture
    def scene(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MaterializerScene:
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        return materializer_scenes.pip(tmp_path / "index")
