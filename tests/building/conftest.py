"""Definitions of one small file, and builders on machines of their own that share a store."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coopery import Builder, Environment

sys.path.insert(0, str(Path(__file__).parent))
import farm


@pytest.fixture(autouse=True)
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where builds leave a line."""
    for name in (farm.SECONDS, farm.FAILS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv(farm.LOG, str(tmp_path / "log"))
    return tmp_path / "log"


@pytest.fixture
def define(tmp_path: Path) -> Callable[..., Environment]:
    """Makes a definition of one file on nothing; *number* makes it another one."""
    folder = tmp_path / "definition"
    folder.mkdir()
    (folder / "data").write_text("data\n")

    def make(number: int = 0, *steps: Any, **changes: Any) -> Environment:
        copied = {"copy": "data", "to": f"/data{number}"}
        return Environment.from_dict({"base": "scratch", "steps": [copied, *steps], **changes}, folder)

    return make


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Callable[..., Builder]]:
    """Makes a builder by name of the machine, on whose disk its cache folder is; all share a folder of records."""
    made: list[Builder] = []

    def make(name: str = "a", **options: Any) -> Builder:
        options = {"cache": f"directory:{tmp_path / 'records'}", "backend": "oci", "plugins": farm.plugins(), **options}
        made.append(Builder(home=tmp_path / name, **options))
        return made[-1]

    yield make
    for builder in made:
        builder.close()
