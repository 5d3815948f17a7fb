"""The kit on Podman and Buildah, with a storage of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from coopery.backend import Workshop
from coopery.testing import BackendContract
from coopery.testing.backend.desk import Desk
from coopery_podman.backend import PodmanBackend
from real_podman import storage as own_storage

pytestmark = [pytest.mark.slow, pytest.mark.processes, pytest.mark.needs("podman-run")]


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """So that nothing of the machine's is touched, and nobody else's containers are seen."""
    with own_storage(tmp_path_factory.mktemp("storage")) as folder:
        yield folder


def listed(*argv: str) -> list[str]:
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return [f"{argv[0]} {argv[1]}: {line}" for line in done.stdout.splitlines()]


class TestPodman(BackendContract):
    @pytest.fixture(autouse=True)
    def remembered(self, desk: Desk, storage: Path) -> Iterator[None]:
        """What was found out by trying the engine is found out once, and not once for each cache folder."""
        tried, here = storage / "tried", desk.workshop.home / "podman"
        if tried.is_dir():
            shutil.copytree(tried, here)
        yield
        if here.is_dir():
            shutil.copytree(here, tried, dirs_exist_ok=True)

    @pytest.fixture
    def open_backend(self, storage: Path):  # noqa: ARG002 - it must be there first
        return PodmanBackend

    @pytest.fixture
    def unreachable(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Workshop], PodmanBackend]:
        """No engine on PATH: nobody can be asked."""

        def opened(workshop: Workshop) -> PodmanBackend:
            monkeypatch.setenv("PATH", str(tmp_path))
            return PodmanBackend(workshop)

        return opened

    @pytest.fixture
    def leaks(self, storage: Path):  # noqa: ARG002 - as above
        """Images that are kept between steps carry no name of the kit's."""
        names = ("podman", "images", "--format", "{{.Repository}}:{{.Tag}}")
        return lambda: [
            *listed("buildah", "containers", "--quiet"),
            *listed("podman", "--runtime", "runc", "ps", "--all", "--quiet"),
            *(line for line in listed(*names) if "coopery-kit" in line),
        ]
