"""One build for each key, wherever it is asked for; every place is filled from that."""

from __future__ import annotations

import shutil
from pathlib import Path

import farm
import pytest

from coopery.events import StageFinished, Warned
from coopery.image import Image
from coopery.oci.validate import validate_layout
from coopery.testing.memory import MemoryCache
from many_builders import Scene
from real_redis import RealRedis

RUN = {"run": "date > /hour"}


def unreachable(tmp_path: Path, *names: str) -> None:
    """The cache folders of these machines are on disks of their own: from elsewhere nobody sees them."""
    for name in names:
        (tmp_path / name).rename(tmp_path / f"{name} (elsewhere)")


def reachable(tmp_path: Path, *names: str) -> None:
    for name in names:
        (tmp_path / f"{name} (elsewhere)").rename(tmp_path / name)


def test_another_machine_brings_what_it_can_reach(machine, define, tmp_path):
    first = machine("a").build(define())
    events: list = []
    second = machine("b", on_event=events.append).build(define())
    assert (second.id, second.generation, second.instead_of) == (first.id, 1, None)
    assert farm.noted("build") == 1
    assert [event.stage for event in events if isinstance(event, StageFinished)] == ["pull", "image"]
    validate_layout(tmp_path / "b" / "images")
    assert machine("b").build(define()).hit


def test_what_is_damaged_there_is_made_again_here(machine, define, tmp_path):
    first = machine("a").build(define())
    for blob in (tmp_path / "a" / "images" / "blobs" / "sha256").iterdir():
        if not blob.read_bytes().startswith(b"{"):
            blob.write_bytes(b"x" * blob.stat().st_size)
    events: list = []
    second = machine("b", on_event=events.append).build(define())
    assert second.id == first.id
    assert farm.noted("build") == 2
    assert any(isinstance(event, Warned) and "did not give it" in event.message for event in events)
    validate_layout(tmp_path / "b" / "images")


def test_where_nothing_can_be_brought_it_is_made_again_from_the_record(machine, define, tmp_path):
    first = machine("a").build(define())
    unreachable(tmp_path, "a")
    second = machine("b").build(define())
    assert (second.id, second.generation, second.instead_of) == (first.id, 1, None)
    assert farm.noted("build") == 2


def test_a_step_that_gives_other_bytes_makes_no_generations(machine, define, tmp_path):
    """Three machines without a registry: each keeps its own, the record stays, and so does what each is told."""
    environment = define(0, RUN)
    first = machine("a").build(environment)
    unreachable(tmp_path, "a")
    events: list = []
    second = machine("b", on_event=events.append).build(environment)
    assert second.id != first.id
    assert (second.generation, second.instead_of, second.hit) == (1, first.id, False)
    assert any(isinstance(event, Warned) and "other bytes" in event.message for event in events)
    unreachable(tmp_path, "b")
    third = machine("c").build(environment)
    assert (third.generation, third.instead_of) == (1, first.id)
    assert len({first.id, second.id, third.id}) == 3
    reachable(tmp_path, "a", "b")
    for _ in range(2):
        for name, image in (("a", first), ("b", second), ("c", third)):
            again = machine(name).build(environment)
            assert (again.hit, again.id, again.generation, again.instead_of) == (
                *(True, image.id, 1, image.instead_of),
            )
    assert farm.noted("step") == 3
    assert machine("a").details(environment).image.id == first.id
    assert machine("b").details(environment).image.id == second.id


def test_machines_whose_folders_have_one_path_are_told_apart(machine, define, tmp_path):
    """Two disks of one path share a store: what stands in on one is not looked for on the other."""
    environment = define(0, RUN)
    first = machine("x").build(environment)
    (tmp_path / "x").rename(tmp_path / "disk 1")
    second = machine("x").build(environment)
    (tmp_path / "x").rename(tmp_path / "disk 2")
    third = machine("x").build(environment)
    (tmp_path / "x").rename(tmp_path / "disk 3")
    assert len({first.id, second.id, third.id}) == 3
    for number, image in enumerate((first, second, third), start=1):
        (tmp_path / f"disk {number}").rename(tmp_path / "x")
        again = machine("x").build(environment)
        assert (again.hit, again.id, again.generation) == (True, image.id, 1)
        (tmp_path / "x").rename(tmp_path / f"disk {number}")
    assert farm.noted("build") == 3


def test_an_image_that_is_gone_is_made_again_without_a_new_generation(machine, define, tmp_path):
    environment = define(0, RUN)
    first = machine("a").build(environment)
    shutil.rmtree(tmp_path / "a")
    second = machine("a").build(environment)
    assert (second.generation, second.instead_of) == (1, first.id)
    rebuilt = machine("a").build(environment, rebuild=True)
    assert (rebuilt.generation, rebuilt.instead_of) == (2, None)
    assert machine("a").build(environment).id == rebuilt.id


def crowd(scene: Scene, works) -> list:
    return [scene.result(pid) for pid in [scene.start(work) for work in works]]


@pytest.mark.processes
@pytest.mark.parametrize("store", ["directory", pytest.param("redis", marks=pytest.mark.needs("redis"))])
def test_machines_that_ask_at_once_build_once(store, machine, define, tmp_path, monkeypatch, redis_server):
    """Three machines with three processes each: one build; each machine brings the image once."""
    cache = f"directory:{tmp_path / 'records'}" if store == "directory" else redis_server().url("farm")
    monkeypatch.setenv(farm.SECONDS, "1.0")
    scene = Scene(tmp_path, MemoryCache())

    def ask(name: str):
        def work() -> list:
            events: list = []
            image = machine(name, cache=cache, on_event=events.append).build(define())
            brought = [e.stage for e in events if isinstance(e, StageFinished)].count("pull")
            return [image.id, image.place, image.generation, brought]

        return work

    try:
        results = crowd(scene, [ask(f"m{number % 3}") for number in range(9)])
    finally:
        scene.end()
    assert farm.noted("build") == 1
    assert len({result[0] for result in results}) == 1
    assert len({result[1] for result in results}) == 3
    assert {result[2] for result in results} == {1}
    assert sum(result[3] for result in results) == 2
    for number in range(3):
        validate_layout(tmp_path / f"m{number}" / "images")


@pytest.fixture
def redis_server(tmp_path_factory):
    import tempfile

    made: list[RealRedis] = []
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are too deep for a socket

        def make() -> RealRedis:
            made.append(RealRedis(Path(folder), durable=False))
            made[-1].start()
            return made[-1]

        yield make
        for server in made:
            server.stop()


def test_images_are_values(machine, define):
    image = machine("a").build(define())
    assert isinstance(image, Image)
    assert image == machine("a").build(define())


def test_a_store_that_is_only_read_costs_no_image(machine, define, tmp_path):
    """Of what others have built a reader has hits; that it has them here too is known to nobody, and is said."""
    first = machine("a").build(define())
    events: list = []
    for _ in range(2):
        with machine("b", cache=f"directory:{tmp_path / 'records'}?readonly=true", on_event=events.append) as builder:
            again = builder.build(define())
        assert (again.id, again.generation, again.cached) == (first.id, 1, False)
    assert farm.noted("build") == 1, "what is here is taken from here"
    assert any(isinstance(event, Warned) and "could not be recorded" in event.message for event in events)
