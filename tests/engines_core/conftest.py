"""Builders that know ``oci`` and a backend of ours, and a definition of one file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coopery import Builder, Environment
from coopery.events import Event
from coopery.plugins import Plugins
from coopery_oci.backend import OciBackend

sys.path.insert(0, str(Path(__file__).parent))
from house import HouseBackend, Registers, examined

Build = Callable[..., Builder]


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def stages(events: list[Event]) -> Callable[[], list[str]]:
    """Which stages have begun since the last time of asking."""

    def told() -> list[str]:
        found = [event.stage for event in events if type(event).__name__ == "StageStarted"]  # type: ignore[attr-defined]
        events.clear()
        return found

    return told


@pytest.fixture
def builder(tmp_path: Path, events: list[Event]) -> Iterator[Build]:
    """Makes builders that share a cache folder and know ``oci`` and the backends that are named."""
    examined.clear()
    made: list[Builder] = []

    def make(*backends: type[OciBackend], **options: Any) -> Builder:
        modules = [(cls.name, Registers(cls)) for cls in (OciBackend, *(backends or (HouseBackend,)))]
        plugins = Plugins(modules, discover=False)
        options = {"home": tmp_path / "home", "on_event": events.append, "plugins": plugins, **options}
        made.append(Builder(**options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def define(tmp_path: Path) -> Callable[..., Environment]:
    """Makes a definition of one small file on nothing; keywords change it."""
    folder = tmp_path / "definition"
    folder.mkdir()
    (folder / "one.txt").write_text("one\n")
    (folder / "python").write_text("#!")
    (folder / "python").chmod(0o755)

    def make(*steps: Any, **changes: Any) -> Environment:
        copied = {"copy": "one.txt", "to": "/one.txt"}
        document = {"base": "scratch", "steps": [copied, *steps], **changes}
        return Environment.from_dict(document, folder)

    return make
