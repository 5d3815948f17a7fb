"""Bases by tag, on a real registry: a lock or a record holds the digest, and the policy says what a moved tag means."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import evolve

from coopery import Builder, Environment
from coopery.errors import StaleLock
from coopery.events import BaseMoved
from coopery.lockfile import read
from coopery.settings import Settings
from lock_life.conftest import Project
from real_registry import RealRegistry, real_registry

pytestmark = [pytest.mark.processes, pytest.mark.needs("registry")]

Push = Callable[[str], str]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    with real_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def image(registry: RealRegistry, tmp_path: Path) -> str:
    return f"{registry.host}/{tmp_path.name.lower()}:stable"


@pytest.fixture
def push(project: Project, image: str) -> Push:
    """Moves the tag to an image that holds *text*; returns the digest."""

    def move(text: str) -> str:
        (project.folder / "text").write_text(text)
        made = Environment.from_dict(
            {"base": "scratch", "steps": [{"copy": "text", "to": "/text"}, {"env": {"WORD": text}}]}, project.folder
        )
        digest: str = project.builder.push(made, image).digest
        return digest

    return move


@pytest.fixture
def define(project: Project, image: str) -> Callable[..., Environment]:
    return lambda *specs: project.define(*specs, base={"image": image})


def base_of(builder: Builder, environment: Environment) -> str:
    lock = builder.details(environment).lock
    assert lock is not None
    return lock.base


def test_a_lock_holds_the_base(
    project: Project, push: Push, define: Callable[..., Environment], elsewhere: Callable[[], Builder]
) -> None:
    first = push("one")
    environment = define("tool", "other")
    project.write_lock(environment)
    assert read(project.lock).sections[0].lock.base == first
    second = push("two")
    theirs = elsewhere()
    assert theirs.build(environment, frozen=True).id == project.builder.build(environment).id
    assert base_of(theirs, environment) == first
    fresh = elsewhere()
    fresh.build(environment, lock=False)
    assert base_of(fresh, evolve(environment, file=None)) == second
    project.write_lock(define("tool", "other", "extra"))
    assert read(project.lock).sections[0].lock.base == first, "another package is no reason to move the base"
    project.write_lock(environment, update=True)
    assert read(project.lock).sections[0].lock.base == second


def test_a_record_holds_the_base(project: Project, push: Push, define: Callable[..., Environment]) -> None:
    first = push("one")
    environment = define("tool")
    before = project.builder.build(environment)
    push("two")
    assert project.builder.build(environment) == before
    project.builder.place.remove(before.id, before.digest)
    again = project.builder.build(environment)
    assert not again.hit
    assert (again.id, base_of(project.builder, environment)) == (before.id, first)


def test_a_moved_tag_can_mean_the_next_generation(
    project: Project, push: Push, define: Callable[..., Environment], home: Path
) -> None:
    first = push("one")
    environment = define("tool")
    with Builder(settings=Settings(home=home, moved_base="rebuild"), on_event=project.events.append) as builder:
        before = builder.build(environment)
        assert builder.build(environment).hit
        second = push("two")
        project.add("tool", "3.0", depends=["library"])
        project.events.clear()
        after = builder.build(environment)
        moved = [(e.before, e.after) for e in project.events if isinstance(e, BaseMoved)]
        assert moved == [(first, second)]
        assert (after.hit, after.generation) == (False, before.generation + 1)
        assert base_of(builder, environment) == second
        assert project.versions(environment)["tool"] == "2.0", "packages that fit stay"
        project.events.clear()
        assert builder.build(environment) == after
        assert not [event for event in project.events if isinstance(event, BaseMoved)]


def test_frozen_takes_no_other_base(
    project: Project, push: Push, define: Callable[..., Environment], image: str
) -> None:
    push("one")
    project.write_lock(define("tool"))
    other = project.define("tool", base={"image": image.replace(":stable", ":other")})
    with pytest.raises(StaleLock, match=r"base\.image"):
        project.builder.build(other, frozen=True)
