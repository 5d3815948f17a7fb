"""What the tests of the conda materializer share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import evolve

from conda.desk import PREFIX, Desk, make_desk
from conda.maker import Channel
from coopery.digest import of_bytes
from coopery.target import Facts, Resolved


@pytest.fixture
def channel(tmp_path: Path) -> Channel:
    return Channel(tmp_path / "channel")


@pytest.fixture
def make_channel(tmp_path: Path) -> Callable[[str], Channel]:
    return lambda name: Channel(tmp_path / name)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with make_desk(tmp_path) as one:
        yield one


@pytest.fixture
def target() -> Resolved:
    return Resolved(
        platform="linux/amd64",
        prefix=PREFIX,
        base=of_bytes(b"base"),
        facts=Facts(),
        glibc="2.36",
        archspec="x86_64",
        bytecode=False,
    )


@pytest.fixture
def compiled(target: Resolved) -> Resolved:
    return evolve(target, bytecode=True)
