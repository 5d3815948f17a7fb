"""Two hundred definitions whose keys are frozen: the same under every Python, however they are written down."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

import parts
from coopery import Environment, key
from coopery.seal import seal

CORPUS = Path(__file__).parents[1] / "vectors" / "corpus" / "definitions.jsonl"
LINES = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]
ASK = """
import json, sys
from coopery import Environment, key
from coopery.seal import seal
for line in sys.stdin:
    print(key.compute(seal(Environment.from_dict(json.loads(line)["definition"]))))
"""


def shuffled(value: Any, luck: random.Random) -> Any:
    """*value* with the keys of every mapping in another order."""
    if isinstance(value, dict):
        items = [(name, shuffled(inner, luck)) for name, inner in value.items()]
        luck.shuffle(items)
        return dict(items)
    return [shuffled(inner, luck) for inner in value] if isinstance(value, list) else value


def computed(definition: Any) -> str:
    return key.compute(seal(Environment.from_dict(definition)))


def test_keys_are_what_they_were() -> None:
    assert len(LINES) >= 200
    assert [computed(line["definition"]) for line in LINES] == [line["key"] for line in LINES]


def test_definitions_with_one_key_say_the_same() -> None:
    """No two lines meet by accident."""
    identities = {
        line["key"]: json.dumps(key.identity(seal(Environment.from_dict(line["definition"])))) for line in LINES
    }
    assert len(set(identities.values())) == len(identities)


def test_the_order_in_which_they_are_written_does_not_count() -> None:
    luck = random.Random(38)
    for line in LINES:
        assert computed(shuffled(line["definition"], luck)) == line["key"]


def test_yaml_and_json_say_the_same(tmp_path: Path) -> None:
    """JSON is YAML; block style is what people write."""
    from ruamel.yaml import YAML

    block = YAML(typ="safe")
    block.default_flow_style = False
    for line in LINES[::5]:
        for name in ("a.json", "a.yaml"):
            with (tmp_path / name).open("w", encoding="utf-8") as file:
                json.dump(line["definition"], file) if name.endswith("json") else block.dump(line["definition"], file)
            assert key.compute(seal(Environment.load(tmp_path / name))) == line["key"]


@pytest.mark.needs("second-python")
def test_another_python_computes_the_same() -> None:
    python = parts.second_python()
    assert python is not None
    done = subprocess.run([python, "-c", ASK], input=CORPUS.read_bytes(), capture_output=True, check=True)
    assert done.stdout.decode().split() == [line["key"] for line in LINES]
