"""A definition that needs nothing but this machine, and builders with a cache folder of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coopery import Builder, Environment
from coopery.events import Event


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def builder(home: Path, events: list[Event]) -> Iterator[Builder]:
    with Builder(home=home, on_event=events.append) as made:
        yield made


@pytest.fixture
def define(tmp_path: Path) -> Callable[..., Environment]:
    """Makes a definition of a few files on nothing; keywords change it."""
    folder = tmp_path / "definition"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "one.txt").write_text("one\n")
    (folder / "data" / "run.sh").write_text("#!/bin/sh\necho hello\n")
    (folder / "data" / "run.sh").chmod(0o755)

    def make(**changes: Any) -> Environment:
        document = {
            "base": "scratch",
            "steps": [{"copy": "data", "to": "/data"}, {"env": {"GREETING": "hello"}}, {"workdir": "/data"}],
            **changes,
        }
        return Environment.from_dict({k: v for k, v in document.items() if v is not None}, folder)

    return make
