"""Machines whose mirrors of Debian are of different days: one key stays one record, and each machine has its hits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

import coopery_oci.plugin
from coopery import Builder, Environment, hookimpl
from coopery.events import Event, Warned
from coopery.plugins import Plugins
from coopery.settings import Settings
from coopery_debian.source import DebianSource
from debian.miniature import Item, Miniature
from debian.openpgp import Signer

pytestmark = pytest.mark.needs("gpgv")

Machine = Callable[..., Builder]


@pytest.fixture
def days(tmp_path: Path) -> Machine:
    """Makes a builder by name, whose mirror has one package in the version that is named; all share their records."""
    signer = Signer.make(1)
    keyring = signer.keyring(tmp_path / "keyring.gpg")

    class Source(DebianSource):
        def __init__(self, workshop) -> None:
            super().__init__(workshop, apt=tmp_path / "apt", keyring=keyring)

    @hookimpl
    def coopery_register_base_source():
        return Source

    registers = SimpleNamespace(coopery_register_base_source=coopery_register_base_source)
    plugins = Plugins([("source", registers), ("oci", coopery_oci.plugin)], discover=False)

    def make(name: str, version: str, events: list[Event] | None = None) -> Builder:
        mirror = Miniature(tmp_path / f"mirror-{version}", signer)
        mirror.add("tool", [Item("./usr/bin/tool", version.encode(), 0o755)], version)
        mirror.publish()
        settings = Settings(
            home=tmp_path / name, debian_mirror=mirror.url, cache=f"directory:{tmp_path / 'records'}", backend="oci"
        )
        return Builder(settings=settings, plugins=plugins, on_event=(events if events is not None else []).append)

    return make


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    base = {"debian": {"suite": "bookworm", "packages": ["tool"]}}
    return Environment.from_dict({"base": base, "steps": [{"env": {"A": "b"}}]}, tmp_path)


def alone(tmp_path: Path, builder: Builder, environment: Environment, **options: bool):
    """The image, built where nobody else's cache folder can be read."""
    others = [path for path in tmp_path.glob("machine-*") if path != builder.home.root]
    for path in others:
        path.rename(tmp_path / f"away-{path.name}")
    try:
        with builder:
            return builder.build(environment, **options)
    finally:
        for path in others:
            (tmp_path / f"away-{path.name}").rename(path)


def test_they_do_not_write_generations_by_turns(days: Machine, environment: Environment, tmp_path: Path) -> None:
    first = alone(tmp_path, days("machine-a", "1.0"), environment)
    events: list[Event] = []
    second = alone(tmp_path, days("machine-b", "2.0", events), environment)
    assert (second.generation, second.instead_of) == (1, first.id)
    assert second.id != first.id
    (told,) = [event.message for event in events if isinstance(event, Warned)]
    assert "its base" in told
    assert "--rebuild" in told
    for _ in range(2):
        for name, version, image in (("machine-a", "1.0", first), ("machine-b", "2.0", second)):
            again = alone(tmp_path, days(name, version), environment)
            assert (again.hit, again.id, again.generation) == (True, image.id, 1)
    with days("machine-b", "2.0") as builder:
        assert builder.check(environment).image.id == second.id


def test_a_rebuild_is_the_next_generation_for_everybody(
    days: Machine, environment: Environment, tmp_path: Path
) -> None:
    alone(tmp_path, days("machine-a", "1.0"), environment)
    alone(tmp_path, days("machine-b", "2.0"), environment)
    rebuilt = alone(tmp_path, days("machine-b", "2.0"), environment, rebuild=True)
    assert (rebuilt.generation, rebuilt.instead_of) == (2, None)
    with days("machine-a", "1.0") as builder:
        brought = builder.build(environment)
    assert (brought.id, brought.generation, brought.instead_of) == (rebuilt.id, 2, None)
