from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

VECTORS = Path(__file__).parents[1] / "vectors"


def vectors(*names: str) -> list[Any]:
    return [
        pytest.param(vector, id=f"{name}-{vector.get('name', at)}")
        for name in names
        for at, vector in enumerate(json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8")))
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests with an argument named after a kind of vector run once for each."""
    kinds = {
        "vector": ("bases", "packages", "steps"),
        "encoding_vector": ("encodings",),
        "tree_vector": ("trees",),
        "identity_vector": ("identities",),
    }
    for argument, files in kinds.items():
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, vectors(*files))


@pytest.fixture(scope="session")
def regenerate() -> ModuleType:
    """The program that fills in vectors, for the parts of it that tests share."""
    spec = importlib.util.spec_from_file_location("regenerate_vectors", VECTORS / "regenerate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
