"""A storage driver without an upper folder: changes by buildah's own commit, the same layer but for times."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import real_podman
from coopery.backend import Workshop
from coopery.image import Assembled
from coopery_podman.backend import PodmanBackend

pytestmark = [pytest.mark.needs("buildah"), pytest.mark.processes]


@pytest.fixture
def vfs(tmp_path: Path) -> Iterator[None]:
    with real_podman.storage(tmp_path, "vfs"):
        yield


@pytest.mark.usefixtures("vfs")
def test_changes_by_commit(workshop: Workshop, make: SimpleNamespace) -> None:
    small: Assembled = make.image([make.layer(workshop, make.tools())], Env=["PATH=/usr/bin"])
    backend = PodmanBackend(workshop)
    script = "mkdir /made; echo content > /made/file; chmod 4755 /made/file; rm -r /home/app; echo x >> /etc/group"
    after = backend.run_step(make.snapshot(small), make.step(script), "a" * 64)
    with tarfile.open(fileobj=io.BytesIO(workshop.blobs.read(after.layers[-1].digest))) as tar:
        members = {member.name: member for member in tar}
        assert sorted(members) == ["etc", "etc/group", "home", "home/.wh.app", "made", "made/file"]
        assert members["made/file"].mode == 0o4755
    placed = backend.materialize(after, Assembled(after.config, after.layers), (), "vfs")
    assert placed.reference == "localhost/coopery:vfs"
