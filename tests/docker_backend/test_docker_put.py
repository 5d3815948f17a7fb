"""Images into a real daemon: what is there is not sent, what is missing is; the id is ours."""

from __future__ import annotations

import os
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve

from coopery.backend import Snapshot, Workshop
from coopery.errors import IntegrityError
from coopery.events import Event, Warned
from coopery.image import Assembled
from coopery.place import Presence
from coopery_docker import held, materialize
from coopery_docker.answers import Refused
from coopery_docker.backend import DockerBackend
from coopery_docker.client import Daemon
from coopery_docker.endpoint import Endpoint

pytestmark = pytest.mark.needs("docker")

TAG = f"put-test-{os.getpid()}"
"""Others run these tests at the same moment, on the same daemon: names and images are this process's."""


class Counting(Daemon):
    """Counts the bytes of what is loaded, and how often an image is asked for."""

    sent = 0

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self.asked: Counter[str] = Counter()

    def image(self, name: str) -> Any:
        self.asked[name] += 1
        return super().image(name)

    def load(self, archive: Any) -> None:
        def counted() -> Any:
            for piece in archive:
                self.sent += len(piece)
                yield piece

        super().load(counted())


@pytest.fixture
def counting(daemon: Daemon) -> Any:
    made = Counting(daemon.endpoint)
    yield made
    made.close()


@pytest.fixture
def image(made: SimpleNamespace, workshop: Workshop, small: Assembled) -> Assembled:
    top = made.layer_of(workshop, made.text("top", os.urandom(100_000)))
    image: Assembled = made.image_of([*small.layers, top], {"Env": ["A=b"]})
    return image


@pytest.fixture
def clean(daemon: Daemon, image: Assembled, small: Assembled) -> Any:
    names = [str(image.image_id), str(small.image_id)]
    for name in names:
        daemon.remove_image(name, force=True)
    yield
    for name in names:
        daemon.remove_image(name, force=True)


def test_materialize_gives_our_id_and_a_second_time_sends_nothing(
    backend: DockerBackend, base: Snapshot, image: Assembled, clean: None, counting: Counting, workshop: Workshop
) -> None:
    placed = backend.materialize(base, image, image.layers[1:], TAG)
    assert (placed.place, placed.digest, placed.reference) == ("docker:", image.image_id, f"coopery:{TAG}")
    assert backend.place.exists(image.image_id, placed.digest) is Presence.YES
    assert materialize.put(workshop, counting, image, f"coopery:{TAG}") == image.image_id
    assert counting.sent == 0
    assert backend.place.remove(image.image_id, placed.digest) is True
    assert backend.place.exists(image.image_id, placed.digest) is Presence.NO
    assert backend.place.remove(image.image_id, placed.digest) is False


def test_only_what_the_daemon_lacks_is_sent(
    workshop: Workshop, counting: Counting, small: Assembled, image: Assembled, clean: None
) -> None:
    materialize.put(workshop, counting, small, f"coopery:{TAG}-base")
    whole = counting.sent
    counting.sent = 0
    assert held.chain(counting, workshop.blobs, image) == 1
    materialize.put(workshop, counting, image, f"coopery:{TAG}")
    assert 100_000 < counting.sent < 150_000 < whole
    assert (counting.image(f"coopery:{TAG}") or {})["Id"] == image.image_id


def test_images_of_others_are_asked_for_once_however_many_steps_there_are(
    workshop: Workshop, daemon: Daemon, counting: Counting, small: Assembled, image: Assembled, clean: None
) -> None:
    """Of a daemon with hundreds of images, each was asked about before every step."""
    materialize.put(workshop, daemon, small, f"coopery:{TAG}-base")
    workshop.blobs.path(small.image_id).unlink()  # now it is somebody else's: only the daemon knows its layers
    for _ in range(3):
        assert held.chain(counting, workshop.blobs, image) == 1
    assert counting.asked[str(small.image_id)] == 1
    assert counting.diff_ids("sha256:" + "0" * 64) == ()


def test_a_daemon_that_lacks_what_it_should_have_gets_the_whole(
    made: SimpleNamespace, workshop: Workshop, daemon: Daemon, events: list[Event], monkeypatch: Any
) -> None:
    unseen = [made.layer_of(workshop, made.text(name, os.urandom(999))) for name in ("low", "high")]
    image = made.image_of(unseen)
    monkeypatch.setattr(held, "chain", lambda *_: 1)  # as if somebody had removed the base in between
    try:
        assert materialize.put(workshop, daemon, image, f"coopery:{TAG}") == image.image_id
    finally:
        daemon.remove_image(image.image_id, force=True)
    assert any(isinstance(event, Warned) and "all are sent" in event.message for event in events)


def test_a_damaged_blob_is_named(made: SimpleNamespace, workshop: Workshop, daemon: Daemon) -> None:
    layer = made.layer_of(workshop, made.text("x", b"damaged later"))
    path = workshop.blobs.path(layer.digest)
    data = bytearray(path.read_bytes())
    data[600] ^= 1
    path.write_bytes(data)
    try:
        with pytest.raises(IntegrityError, match=str(path)):
            materialize.put(workshop, daemon, made.image_of([layer]), f"coopery:{TAG}-damaged")
    finally:
        path.unlink()


def test_an_archive_that_is_none_is_refused(daemon: Daemon) -> None:
    with pytest.raises(Refused):
        daemon.load([b"no tar at all" * 100])


def test_an_image_removed_behind_our_back_is_put_again(
    backend: DockerBackend, base: Snapshot, image: Assembled, clean: None, daemon: Daemon
) -> None:
    first = backend.materialize(base, image, image.layers[1:], TAG)
    daemon.remove_image(f"coopery:{TAG}")
    assert backend.place.exists(image.image_id, first.digest) is Presence.NO
    assert backend.materialize(base, image, image.layers[1:], TAG) == first
    assert backend.place.exists(image.image_id, first.digest) is Presence.YES


def test_size_is_that_of_config_and_layers(image: Assembled) -> None:
    assert materialize.size_of(evolve(image, layers=())) == len(image.config)
