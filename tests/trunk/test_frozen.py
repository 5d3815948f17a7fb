"""Packages that nobody pinned stay as they were first resolved, until somebody asks for a rebuild."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from conda.maker import Channel, File
from coopery import Builder, Environment
from coopery.errors import ResolveError
from coopery.events import Event, Hit, PackagesMoved
from coopery.home import Home
from coopery.oci.layout import Layout
from trunk import health, small

pytestmark = pytest.mark.processes


@pytest.fixture
def channel(tmp_path: Path) -> Channel:
    return small.fill(Channel(tmp_path / "channel"))


@pytest.fixture
def environment(channel: Channel, tmp_path: Path) -> Environment:
    return Environment.from_dict(small.document("tool", "zlib"), tmp_path)


def newer(channel: Channel) -> None:
    channel.add("tool", {"bin/tool": File(b"#!/bin/sh\necho newer\n", 0o755)}, version="2.0")


def versions(builder: Builder, environment: Environment) -> dict[str, str]:
    return {artifact.name: artifact.version for artifact in builder.lock(environment).artifacts}


def test_a_newer_version_in_the_channel_changes_nothing(
    builder: Builder, environment: Environment, channel: Channel, events: list[Event]
) -> None:
    first = builder.build(environment)
    newer(channel)
    events.clear()
    assert builder.build(environment) == first
    assert [type(event) for event in events] == [Hit]
    assert versions(builder, environment)["tool"] == "1.0"


def test_rebuild_takes_it_as_generation_two_and_keeps_generation_one(
    builder: Builder, environment: Environment, channel: Channel, events: list[Event], home: Path
) -> None:
    first = builder.build(environment)
    newer(channel)
    events.clear()
    second = builder.build(environment, rebuild=True)
    moved = [event for event in events if isinstance(event, PackagesMoved)]
    assert [line.split() for event in moved for line in event.lines] == [["tool", "1.0", "0", "->", "2.0", "0"]]
    assert (first.generation, second.generation) == (1, 2)
    assert second.id != first.id
    assert versions(builder, environment) == {"tool": "2.0", "zlib": "1.0"}
    assert builder.build(environment) == second
    layout = Layout(Home(home).images, Home(home).staging)
    assert layout.open(first.digest, first.platform)[1].image_id == first.id
    assert first.reference.rpartition(":")[2] in layout.tags()
    health.check(home)


def test_an_image_that_was_lost_comes_back_with_the_packages_that_it_had(
    builder: Builder, environment: Environment, channel: Channel, home: Path
) -> None:
    first = builder.build(environment)
    newer(channel)
    shutil.rmtree(Home(home).images)
    again = builder.build(environment)
    assert not again.hit
    assert (again.id, again.generation) == (first.id, 1)


def test_a_hit_needs_no_channel(
    builder: Builder, environment: Environment, channel: Channel, home: Path, events: list[Event]
) -> None:
    first = builder.build(environment)
    shutil.rmtree(channel.root)
    shutil.rmtree(home / "packages")
    events.clear()
    assert builder.build(environment) == first
    assert [type(event) for event in events] == [Hit]
    with Builder(home=home) as other:
        assert other.build(environment).hit
        assert other.plan(environment).image == first


def test_a_rebuild_that_fails_leaves_what_was_there(
    builder: Builder, environment: Environment, channel: Channel, home: Path
) -> None:
    first = builder.build(environment)
    shutil.rmtree(channel.root)
    with pytest.raises(ResolveError, match="channel"):
        builder.build(environment, rebuild=True)
    assert builder.build(environment) == first
    assert health.check(home) == 1
