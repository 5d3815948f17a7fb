from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from coopery.errors import UnsupportedError
from coopery.layer import Entry
from coopery.place import Presence, RunRequest
from coopery.places.layout import LayoutPlace
from coopery_oci.backend import OciBackend


@pytest.fixture
def placed(workshop, make):
    """An image, and where it was put."""
    image = make.image([make.layer(workshop, [Entry("a")])])
    return image, OciBackend(workshop).materialize(make.snapshot(image), image, image.layers, "v1")


def test_an_image_is_here_until_it_is_removed(workshop, placed):
    image, where = placed
    place = LayoutPlace(workshop.home)
    assert place.name == where.place
    assert place.exists(image.image_id, where.digest) is Presence.YES
    assert place.remove(image.image_id, where.digest) is True
    assert place.remove(image.image_id, where.digest) is False
    assert place.exists(image.image_id, where.digest) is Presence.NO


def test_another_image_under_that_digest_is_not_here(workshop, placed):
    _, where = placed
    assert LayoutPlace(workshop.home).exists("sha256:" + "0" * 64, where.digest) is Presence.NO


def test_with_a_layer_missing_it_is_not_here(workshop, placed):
    image, where = placed
    workshop.blobs.path(image.layers[0].digest).unlink()
    assert LayoutPlace(workshop.home).exists(image.image_id, where.digest) is Presence.NO


def test_an_empty_home_has_nothing(tmp_path):
    digest = "sha256:" + "0" * 64
    assert LayoutPlace(tmp_path / "none").exists(digest, digest) is Presence.NO


def test_a_disk_that_cannot_be_asked_is_no_answer(workshop, placed, monkeypatch):
    image, where = placed

    def broken(*_arguments, **_named):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "stat", broken)
    assert LayoutPlace(workshop.home).exists(image.image_id, where.digest) is Presence.UNKNOWN


def test_the_size_is_that_of_all_blobs(workshop, placed):
    image, where = placed
    digests = (where.digest, image.image_id, image.layers[0].digest)
    assert where.size == sum(workshop.blobs.size(digest) for digest in digests)


def test_it_runs_only_with_a_backend(workshop, placed, go):
    _, where = placed
    with pytest.raises(UnsupportedError):
        LayoutPlace(workshop.home).run(where.digest, RunRequest())


@pytest.mark.needs("namespaces")
def test_the_backends_place_runs(running_shop, small_image, make, capfd):
    backend = OciBackend(running_shop)
    where = backend.materialize(make.snapshot(small_image), small_image, (), "small")
    assert backend.place.run(where.digest, RunRequest(argv=["sh", "-c", "echo in; exit 4"])) == 4
    assert capfd.readouterr().out == "in\n"


def test_asking_imports_no_plugin_and_nothing_heavy():
    script = (
        "import sys; from pathlib import Path; from coopery.places.layout import LayoutPlace; "
        "d = 'sha256:' + '0' * 64; LayoutPlace(Path('/nonexistent')).exists(d, d); "
        "print([n for n in ('click', 'rich', 'rattler', 'pluggy', 'zstandard', 'subprocess', 'coopery_oci') "
        "if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
