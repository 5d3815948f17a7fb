"""A definition of a few tiny packages in a file, with a channel beside it, and builders of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from conda.maker import Channel, File
from coopery import Builder, Environment
from coopery.events import Event, Hit, PackagesMoved, StageFinished, Warned
from trunk import small


@frozen
class Project:
    """A folder as a user has it: a channel, a definition, and perhaps its lock file."""

    folder: Path
    channel: Channel
    builder: Builder
    events: list[Event]

    @property
    def lock(self) -> Path:
        return self.folder / "environment.lock"

    def define(self, *specs: str, name: str = "environment.json", **changes: Any) -> Environment:
        """Write the definition, and load it."""
        return Environment.load(small.write(self.folder, *specs, name=name, **changes))

    def add(self, name: str, version: str, **more: Any) -> None:
        """One more version of a package in the channel."""
        self.channel.add(name, {f"share/{name}": File(f"{name} {version}".encode())}, version=version, **more)

    def write_lock(self, environment: Environment, **how: Any) -> None:
        self.builder.relock(environment, **how).save()

    def versions(self, environment: Environment) -> dict[str, str]:
        """Of the packages in the image that was made last for the definition."""
        lock = self.builder.details(environment).lock
        assert lock is not None
        return {artifact.name: artifact.version for artifact in lock.artifacts}

    def warnings(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Warned)]

    def moved(self) -> list[str]:
        """Names of packages that moved, in a word each."""
        return [line.split()[0] for e in self.events if isinstance(e, PackagesMoved) for line in e.lines]

    def solved(self) -> bool:
        return any(isinstance(event, StageFinished) and event.stage == "lock" for event in self.events)

    def hit(self) -> bool:
        return any(isinstance(event, Hit) for event in self.events)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def project(tmp_path: Path, home: Path) -> Iterator[Project]:
    """A channel with ``tool`` (two versions, needs ``library``), ``library``, ``other`` and ``extra``; no lock yet."""
    events: list[Event] = []
    folder = tmp_path / "project"
    folder.mkdir()
    channel = Channel(folder / "channel")
    with Builder(home=home, on_event=events.append) as builder:
        made = Project(folder, channel, builder, events)
        made.add("library", "1.0")
        made.add("tool", "1.0", depends=["library"])
        made.add("tool", "2.0", depends=["library"])
        made.add("other", "1.0")
        made.add("extra", "1.0")
        yield made


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Callable[[], Builder]]:
    """Builders with an empty cache folder, as a colleague has one."""
    made: list[Builder] = []

    def make() -> Builder:
        made.append(Builder(home=tmp_path / f"elsewhere{len(made)}"))
        return made[-1]

    yield make
    for builder in made:
        builder.close()
