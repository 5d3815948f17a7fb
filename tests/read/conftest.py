"""Helpers for tests of reading: a folder of small files, and the problems that loading one of them gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from coopery import read
from coopery.definition import Environment
from coopery.errors import DefinitionError, Problem

Loading = Callable[..., Environment]
Refusing = Callable[..., tuple[Problem, ...]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _write(folder: Path, text: str | bytes, name: str, files: Mapping[str, str]) -> str:
    for path, content in {name: text, **files}.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return name


@pytest.fixture
def loading(folder: Path) -> Loading:
    """``loading(text, name="env.yaml", files={...})`` writes and loads a definition."""

    def load(text: str | bytes, name: str = "env.yaml", files: Mapping[str, str] = {}) -> Environment:
        return read.load(_write(folder, text, name, files))

    return load


@pytest.fixture
def refusing(loading: Loading) -> Refusing:
    """Like ``loading``, for definitions that must be refused; returns the problems."""

    def refuse(text: str | bytes, name: str = "env.yaml", files: Mapping[str, str] = {}) -> tuple[Problem, ...]:
        with pytest.raises(DefinitionError) as caught:
            loading(text, name, files)
        return caught.value.problems

    return refuse
