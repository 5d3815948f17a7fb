"""A registry in this process, whole or misbehaving, and images to put into it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from coopery.registry import Registry
from coopery.settings import Settings
from coopery.wire.http import Http

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "wire"))
from fake_registry import FakeRegistry
from registry_logins import CANARY, Careless, credentials
from scripted_server import FakeClock, Server


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with FakeRegistry() as running:
        yield running


@pytest.fixture
def elsewhere() -> Iterator[Server]:
    """Another host, which should hear no secrets."""
    with Server("127.0.0.2") as running:
        yield running


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def http(settings: Settings, clock: FakeClock) -> Iterator[Http]:
    with Http(settings, clock=clock) as made:
        yield made


@pytest.fixture
def repository(fake: FakeRegistry, http: Http, settings: Settings, tmp_path: Path, clock: FakeClock) -> Registry:
    """``team/app`` in the registry that misbehaves on demand."""
    return Registry(http, f"{fake.host}/team/app", settings, credentials(tmp_path, {}), clock=clock)


@pytest.fixture
def careless(fake: FakeRegistry, http: Http, settings: Settings, clock: FakeClock) -> Registry:
    """The same, asking for the login ``me:canary``, by somebody who would give that login to anyone."""
    fake.login = ("me", CANARY)
    return Registry(http, f"{fake.host}/team/app", settings, Careless({}), clock=clock)
