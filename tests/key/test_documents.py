"""One definition, however it is written, has one key: comments, order of keys, spelled-out defaults, YAML or JSON."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from coopery import Environment, key
from coopery.seal import seal

PLAIN = """\
base: {image: "ubuntu:24.04"}
steps:
  - run: make
  - copy: src
    to: /app
conda:
  channels: [conda-forge]
  dependencies: [python=3.12, numpy, {pip: [wandb]}]
target: {cuda: "12.4"}
"""
SPELLED_OUT = """\
# A comment.
version: "7"
runtime:
  env: {SEED: "1"}
target:
  cuda: '12.4'  # the driver's
  platform: linux/amd64
build: {bytecode: true, arguments: {}, secrets: []}
prefix: /opt/env
pip: {requirements: [wandb], pre: false}
conda:
  dependencies:
    - numpy
    - python=3.12
  channels:
    - conda-forge
steps:
  - {network: true, run: "make", secrets: []}
  - {to: /app, owner: "0:0", copy: ./src}
name: other
base: docker.io/library/ubuntu:24.04
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text("x = 1\n")
    return tmp_path


def key_of(folder: Path, text: str, name: str = "environment.yaml") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return key.compute(seal(Environment.load(folder / name)))


def test_two_ways_to_write_one_definition(folder: Path) -> None:
    assert key_of(folder, PLAIN) == key_of(folder, SPELLED_OUT)


def test_yaml_json_and_data(folder: Path) -> None:
    document = {
        "base": {"image": "ubuntu:24.04"},
        "steps": [{"run": "make"}, {"copy": "src", "to": "/app"}],
        "conda": {"channels": ["conda-forge"], "dependencies": ["python=3.12", "numpy"]},
        "pip": ["wandb"],
        "target": {"cuda": "12.4"},
    }
    expected = key_of(folder, PLAIN)
    assert key_of(folder, json.dumps(document), "environment.json") == expected
    assert key.compute(seal(Environment.from_dict(document, folder))) == expected


@pytest.mark.parametrize(
    ("before", "after"),
    [("make", "make -j"), ("ubuntu:24.04", "ubuntu:22.04"), ("numpy", "numpy=2"), ("12.4", "12.5"), ("wandb", "rich")],
)
def test_a_change_that_matters(folder: Path, before: str, after: str) -> None:
    assert key_of(folder, PLAIN.replace(before, after)) != key_of(folder, PLAIN)


def test_order_of_keys_in_every_vector(vector: dict[str, Any]) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            items = [(name, shuffled(inner)) for name, inner in value.items()]
            random.Random(7).shuffle(items)
            return dict(items)
        return [shuffled(inner) for inner in value] if isinstance(value, list) else value

    assert Environment.from_dict(shuffled(vector["definition"])) == Environment.from_dict(vector["definition"])
