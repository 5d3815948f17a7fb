"""The kit for backends, on podman and buildah."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from coopery.backend import Backend, Workshop
from coopery.testing import BackendContract
from coopery.testing.backend.desk import Desk
from coopery_podman.backend import PodmanBackend
from coopery_podman.buildah import Buildah
from coopery_podman.isolation import remembered_choice
from coopery_podman.storage import locate
from coopery_podman.ways import way

pytestmark = [pytest.mark.needs("buildah", "podman-run"), pytest.mark.processes, pytest.mark.slow]


@pytest.fixture(scope="module")
def findings(session_shop: Workshop) -> Path:
    """What was found by trying, once: each test of the kit has a cache folder of its own."""
    locate(session_shop)
    remembered_choice(session_shop, Buildah())
    way(session_shop)
    return session_shop.home / "podman"


class TestPodman(BackendContract):
    @pytest.fixture
    def open_backend(self) -> type[Backend]:
        return PodmanBackend

    @pytest.fixture(autouse=True)
    def _found(self, desk: Desk, findings: Path) -> None:
        shutil.copytree(findings, desk.workshop.home / "podman")

    @pytest.fixture
    def unreachable(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Workshop], Backend]:
        """No engine on PATH: nobody can be asked."""

        def opened(workshop: Workshop) -> Backend:
            monkeypatch.setenv("PATH", str(tmp_path))
            return PodmanBackend(workshop)

        return opened

    @pytest.fixture
    def leaks(self) -> Callable[[], Sequence[str]]:
        """Working containers, and podman's."""
        return lambda: Buildah().call(("containers", "--all", "--quiet")).split()
