"""An engine whose storage is full: an error with a remedy, and nothing half-made that counts as an image."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from coopery.backend import Workshop
from coopery.errors import BackendError
from coopery.place import Presence
from coopery_podman.backend import PodmanBackend

pytestmark = [pytest.mark.needs("buildah"), pytest.mark.processes]


@pytest.fixture
def little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A storage of 4 MB."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount")
    folder = tmp_path / "little"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=True)
    (tmp_path / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
    )
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(tmp_path / "storage.conf"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    yield folder
    subprocess.run(["umount", "--recursive", folder], check=True)


def test_a_full_storage(workshop: Workshop, little: Path, make: SimpleNamespace) -> None:
    backend = PodmanBackend(workshop)
    image = make.image([make.layer(workshop, [make.text("opt/large", os.urandom(6 << 20))])])
    with pytest.raises(BackendError, match="no space left on device") as caught:
        backend.materialize(make.snapshot(image), image, (), "large")
    assert "make room" in caught.value.remedy
    assert backend.place.exists(image.image_id, image.image_id) is Presence.NO
    image = make.image([make.layer(workshop, [make.text("opt/small", b"x")])])
    placed = backend.materialize(make.snapshot(image), image, (), "small")
    assert backend.place.exists(image.image_id, placed.digest) is Presence.YES
