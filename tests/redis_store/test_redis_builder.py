"""Builders with homes of their own, as on machines of their own, that share nothing but a Redis server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import jar_machines
from coopery import Builder, Environment, Image
from coopery.events import Event, StageFinished, StageStarted
from coopery.oci.validate import validate_layout
from jar_machines import Machines, publish
from real_redis import RealRedis
from real_registry import real_registry

pytestmark = pytest.mark.needs("redis")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A Maven repository with one jar."""
    folder = tmp_path / "maven"
    publish(folder, "1.0", "old")
    return folder


@pytest.fixture
def environment(tmp_path: Path, repository: Path) -> Environment:
    return jar_machines.define(tmp_path, repository)


@pytest.fixture
def machines(tmp_path: Path, server: RealRedis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    """Makes builders by name of the machine."""
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "DOCKER_CONFIG"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    (tmp_path / "config.json").write_text("{}")
    with jar_machines.machines(tmp_path, monkeypatch) as made:

        def make(name: str, on_event: Callable[[Event], None] | None = None, **options: Any) -> Builder:
            return made(name, **{"cache": server.url("farm"), "on_event": on_event, **options})

        yield make


def test_the_second_machine_makes_the_same_image_of_the_first_one_s_record(machines, environment, repository):
    first = machines("a").build(environment)
    publish(repository, "2.0", "new")
    events: list[Event] = []
    second = machines("b", events.append).build(environment)
    assert second.id == first.id
    assert (second.generation, second.hit) == (1, False)
    assert "b/images" in second.place
    stages = [event.stage for event in events if isinstance(event, StageFinished)]
    assert "lock" not in stages, "what the record says is not resolved again"
    assert machines("a").build(environment).hit
    assert machines("b").build(environment).hit


def test_machines_that_build_at_once_agree(machines, environment, tmp_path):
    images: list[Image] = []

    def work(name: str) -> None:
        images.append(machines(name).build(environment))

    threads = [threading.Thread(target=work, args=(f"m{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({image.id for image in images}) == 1
    assert len(images) == 6
    assert len({image.place for image in images}) == 6, "each has the image where it is"
    for number in range(6):
        validate_layout(tmp_path / f"m{number}" / "images")


def test_who_was_slower_makes_the_other_s_image(machines, environment, repository, tmp_path):
    """Two machines with leases apart resolve at once, and the index changes between: the record has one image."""
    publish(repository, "1.0", "new")
    faster: list[Image] = []

    def in_between(event: Event) -> None:
        if isinstance(event, StageStarted) and event.stage == "image" and not faster:
            publish(repository, "1.0", "old")
            faster.append(machines("faster", leases="sqlite:").build(environment))

    slower = machines("slower", in_between).build(environment)
    assert slower.id == faster[0].id
    assert slower.place == f"oci:{tmp_path}/slower/images"
    assert slower.generation == 1
    assert machines("slower").build(environment).hit
    assert machines("faster").build(environment).hit


@pytest.mark.needs("registry")
def test_a_machine_pulls_what_another_pushed(machines, environment, tmp_path):
    with real_registry(tmp_path / "registry") as registry:
        builder = machines("a")
        first = builder.build(environment)
        builder.push(first, f"{registry.host}/team/env:1")
        (tmp_path / "a").rename(tmp_path / "a disk of its own")
        events: list[Event] = []
        second = machines("b", events.append).build(environment)
        assert second.id == first.id
        assert [event.stage for event in events if isinstance(event, StageFinished)] == ["pull"]


def test_details_and_list_are_everybody_s(machines, environment):
    first = machines("a").build(environment)
    (found,) = machines("b").list()
    assert (found.key, found.image.id, found.exists) == (first.key, first.id, False)
