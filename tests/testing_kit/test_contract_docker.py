"""The kit on a real Docker daemon."""

from __future__ import annotations

import gc
import os
import subprocess
import warnings

import pytest

from coopery.testing import BackendContract
from coopery_docker.backend import DockerBackend

pytestmark = [pytest.mark.slow, pytest.mark.processes, pytest.mark.needs("docker")]


def listed(*argv: str) -> list[str]:
    """Lines that a Docker command prints which name this process as the owner."""
    done = subprocess.run(["docker", *argv], capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if f"p{os.getpid()}-" in line or "coopery-kit" in line]


class TestDocker(BackendContract):
    @pytest.fixture
    def open_backend(self):
        return DockerBackend

    @pytest.fixture
    def unreachable(self, monkeypatch, tmp_path):
        def make(workshop):
            monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
            return DockerBackend(workshop)

        yield make
        with warnings.catch_warnings():  # docker-py leaves the socket open that it could not connect
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()

    @pytest.fixture
    def leaks(self):
        return lambda: [
            *listed("ps", "--all", "--format", "{{.Names}}"),
            *listed("images", "--format", "{{.Repository}}:{{.Tag}}"),
        ]
