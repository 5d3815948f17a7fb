"""Small images of files on nothing, and a cache folder whose things can be made to look old."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coopery import Builder, Environment

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def builder(home: Path) -> Iterator[Builder]:
    with Builder(home=home) as made:
        yield made


@pytest.fixture
def define(tmp_path: Path) -> Callable[..., Environment]:
    """A definition of two files: *text*, and one that all have in common."""

    def make(text: str, name: str = "") -> Environment:
        folder = tmp_path / "definitions" / f"{name}-{text}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "own").write_text(text * 2000)
        (folder / "common").write_text("common" * 2000)
        steps = [{"copy": "common", "to": "/common"}, {"copy": "own", "to": "/own"}, {"env": {"NAME": text}}]
        return Environment.from_dict({"base": "scratch", "steps": steps, **({"name": name} if name else {})}, folder)

    return make
