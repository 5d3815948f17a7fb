"""A server that answers as it is told, and a clock that does not wait."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from coopery.settings import Settings
from coopery.wire.http import Http

sys.path.insert(0, str(Path(__file__).parent))
from scripted_server import FakeClock, Server


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture
def other() -> Iterator[Server]:
    """A second one, on another address of this machine."""
    with Server("127.0.0.2") as running:
        yield running


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def http(tmp_path: Path, clock: FakeClock) -> Iterator[Http]:
    with Http(Settings(home=tmp_path), clock=clock) as made:
        yield made
