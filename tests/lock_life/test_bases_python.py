"""Pip's packages on the Python of a base: a lock holds for that Python, and says when another one is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from coopery import Builder, Environment, Settings
from coopery.errors import StaleLock
from coopery.events import Event, StageFinished, Warned
from coopery.lockfile import read
from pip_resolve.shelf import Shelf
from trunk import rootfs, small

pytestmark = pytest.mark.processes


@frozen
class Snake:
    """A definition of one wheel on a base with a Python, whose version ``rebase`` changes."""

    folder: Path
    builder: Builder
    events: list[Event]

    @property
    def lock(self) -> Path:
        return self.folder / "environment.lock"

    def define(self, *requirements: str, **changes: Any) -> Environment:
        changes = {"base": {"rootfs": "base.tar"}, "conda": None, "pip": list(requirements), **changes}
        return Environment.load(small.write(self.folder, **changes))

    def rebase(self, release: str) -> None:
        minor = release.rpartition(".")[0]
        files = {
            f"usr/bin/python{minor}": f"\0{release}\0".encode(),
            f"usr/lib/python{minor}/os.py": b"",
            rootfs.LIBC: rootfs.banner("2.36"),
        }
        rootfs.pack(self.folder / "base.tar", files, {"usr/bin/python3": f"python{minor}"})

    def facts(self) -> dict[str, str]:
        return dict(read(self.lock).sections[0].lock.facts)

    def warnings(self) -> str:
        return "\n".join(event.message for event in self.events if isinstance(event, Warned))

    def solved(self) -> bool:
        return any(isinstance(event, StageFinished) and event.stage == "lock" for event in self.events)


@pytest.fixture
def snake(tmp_path: Path) -> Iterator[Snake]:
    folder = tmp_path / "project"
    folder.mkdir()
    events: list[Event] = []
    with Shelf() as shelf:
        shelf.wheel("sample", "1.0")
        shelf.wheel("other", "1.0")
        settings = Settings(home=tmp_path / "home", index_url=shelf.url)
        with Builder(settings=settings, on_event=events.append) as builder:
            made = Snake(folder, builder, events)
            made.rebase("3.11.4")
            yield made


def test_the_lock_names_it(snake: Snake) -> None:
    environment = snake.define("sample")
    snake.builder.relock(environment).save()
    assert snake.facts()["python"] == "3.11.4"
    snake.builder.build(environment, frozen=True)
    assert not snake.warnings()


def test_a_later_release_is_told_and_taken(snake: Snake) -> None:
    snake.builder.relock(snake.define("sample")).save()
    snake.rebase("3.11.9")
    snake.events.clear()
    snake.builder.build(snake.define("sample"))
    assert "python: locked for 3.11.4, now 3.11.9; its packages still run" in snake.warnings()
    assert not snake.solved()


@pytest.mark.parametrize("release", ["3.12.0", "3.11.3", "3.10.4"])
def test_another_python_is_a_reason(snake: Snake, release: str) -> None:
    snake.builder.relock(snake.define("sample")).save()
    snake.rebase(release)
    environment = snake.define("sample")
    snake.events.clear()
    with pytest.raises(StaleLock):
        snake.builder.build(environment, frozen=True)
    snake.builder.build(environment)
    assert f"python: locked for 3.11.4, now {release}" in snake.warnings()
    assert snake.solved()


def test_a_record_is_for_its_python(snake: Snake) -> None:
    """Without a lock file, a lost image comes back from the record, on the same Python only."""
    before = snake.builder.build(snake.define("sample"))
    snake.rebase("3.12.1")
    after = snake.builder.build(snake.define("sample"))
    locks = [dict(lock.facts) for image in (before, after) if (lock := snake.builder.details(image.key).lock)]
    assert [facts["python"] for facts in locks] == ["3.11.4", "3.12.1"]


def test_a_changed_requirement_is_judged_without_the_base(snake: Snake) -> None:
    snake.builder.relock(snake.define("sample")).save()
    (snake.folder / "base.tar").touch()
    with pytest.raises(StaleLock) as caught:
        snake.builder.build(snake.define("sample", "other"), frozen=True)
    assert caught.value.reasons == ("other: the lock has none",)
    snake.builder.build(snake.define("sample>=1"), frozen=True)


def test_the_locks_of_others_have_no_such_fact(snake: Snake) -> None:
    from conda.maker import Channel, add_python

    add_python(Channel(snake.folder / "channel"))
    conda = {"channels": ["./channel"], "dependencies": ["python"]}
    for changes in ({"pip": None}, {}):
        environment = snake.define("sample", **{"base": {"rootfs": "base.tar"}, "conda": conda, **changes})
        lock = snake.builder.relock(environment, update=True).after.sections[0].lock
        assert "python" not in dict(lock.facts)
