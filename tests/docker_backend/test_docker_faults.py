"""A daemon that dies, is full, or was never there. Daemons of our own are killed, never the machine's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve

from coopery.backend import Snapshot, Workshop
from coopery.errors import BackendError
from coopery.events import Event, Output
from coopery.image import Assembled
from coopery.place import Presence
from coopery_docker import materialize
from coopery_docker.answers import Refused, Unreachable
from coopery_docker.backend import DockerBackend

pytestmark = [
    pytest.mark.needs("dockerd"),
    pytest.mark.slow,
]


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Workshop, Any], DockerBackend]]:
    """A backend on a daemon of our own."""
    made: list[DockerBackend] = []

    def use(workshop: Workshop, dockerd: Any) -> DockerBackend:
        monkeypatch.setenv("DOCKER_HOST", dockerd.endpoint.host)
        made.append(DockerBackend(workshop))
        return made[-1]

    yield use
    for backend in made:
        backend.close()


def test_killed_in_a_step_and_back_again(
    dockerd: Any, on: Any, workshop: Workshop, base: Snapshot, made: SimpleNamespace
) -> None:
    own = dockerd()

    def kill(event: Event) -> None:
        if isinstance(event, Output) and event.line == "begun":
            own.kill()

    backend = on(evolve(workshop, emit=kill), own)
    with pytest.raises(Unreachable) as caught:
        backend.run_step(base, made.run_step("echo begun; sleep 60"), "killed")
    assert caught.value.backend == "docker"
    assert own.endpoint.host in caught.value.message
    assert backend.place.exists(base.digest, base.digest) is Presence.UNKNOWN
    assert backend.find_snapshot("killed") is None
    own.start()
    again = on(workshop, own)
    assert again.run_step(base, made.run_step("echo done > /done"), "killed") == again.find_snapshot("killed")
    assert made.Leaks(again._daemon).containers == []


def test_killed_in_a_load_and_back_again(
    dockerd: Any, on: Any, workshop: Workshop, base: Snapshot, small: Assembled, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = dockerd()
    backend = on(workshop, own)
    whole = materialize.archive.classic

    def dying(*args: Any) -> Iterator[bytes]:
        pieces = whole(*args)
        yield next(pieces)
        own.kill()
        yield from pieces

    with monkeypatch.context() as patched:
        patched.setattr(materialize.archive, "classic", dying)
        with pytest.raises(Unreachable):
            backend.materialize(base, small, (), "dying")
    own.start()
    again = on(workshop, own)
    assert again.place.exists(small.image_id, small.image_id) is Presence.NO
    assert again.materialize(base, small, (), "dying").digest == small.image_id


def test_a_full_disk_is_an_error_and_leaves_nothing(
    dockerd: Any, on: Any, workshop: Workshop, base: Snapshot, made: SimpleNamespace
) -> None:
    backend = on(workshop, dockerd(size="32m"))
    big = made.layer_of(workshop, made.text("big", bytes(40_000_000)))
    image = made.image_of([big])
    with pytest.raises(Refused, match="no space left") as caught:
        backend.materialize(base, image, (big,), "full")
    assert "docker system df" in caught.value.remedy
    assert backend.place.exists(image.image_id, image.image_id) is Presence.NO
    with pytest.raises(BackendError):
        backend.run_step(base, made.run_step("head -c 40000000 /dev/zero > /big"), "full")
    assert made.Leaks(backend._daemon).containers == []


def test_a_daemon_that_stops_answering_does_not_keep_ctrl_c_from_working(
    dockerd: Any, on: Any, workshop: Workshop, base: Snapshot, made: SimpleNamespace
) -> None:
    backend = on(workshop, dockerd())
    begun = threading.Event()

    def interrupt(event: Event) -> None:
        if isinstance(event, Output):
            begun.set()
            raise KeyboardInterrupt

    backend = on(evolve(workshop, emit=interrupt), SimpleNamespace(endpoint=backend._endpoint))
    with pytest.raises(KeyboardInterrupt):
        backend.run_step(base, made.run_step("echo begun; sleep 60"), "stopped")
    assert begun.is_set()
