"""The vectors pin keys for ever; the program in docs/key.md, which shares no code with ours, must agree on all."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from coopery import Environment, encoding, key
from coopery.seal import seal

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "key.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def stranger() -> dict[str, Any]:
    """The names that the program in docs/key.md defines."""
    names: dict[str, Any] = {}
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(program, "docs/key.md", "exec"), names)  # noqa: S102 - our own page
    return names


def test_key(vector: dict[str, Any], regenerate: ModuleType) -> None:
    sealed = regenerate.sealed(vector)
    assert key.identity(sealed) == vector["identity"]
    assert key.compute(sealed) == vector["key"]
    if "encoded" in vector:
        assert encoding.encode([key.KEY_TAG, vector["identity"]]).hex() == vector["encoded"]


def test_identity_is_plain_json(vector: dict[str, Any]) -> None:
    assert encoding.digest(key.KEY_TAG, json.loads(json.dumps(vector["identity"]))) == vector["key"]


def test_stranger_computes_the_same_key(vector: dict[str, Any], stranger: dict[str, Any]) -> None:
    assert stranger["identity"](vector["definition"], vector.get("contents", {})) == vector["identity"]
    assert stranger["key"](vector["definition"], vector.get("contents", {})) == vector["key"]


def test_encoding(encoding_vector: dict[str, Any], stranger: dict[str, Any]) -> None:
    assert encoding.encode(encoding_vector["value"]).hex() == encoding_vector["encoded"]
    assert stranger["encode"](encoding_vector["value"]).hex() == encoding_vector["encoded"]


def test_step_and_layer_keys(identity_vector: dict[str, Any]) -> None:
    assert getattr(key, identity_vector["function"])(*identity_vector["arguments"]) == identity_vector["key"]


def test_tree(tree_vector: dict[str, Any], stranger: dict[str, Any], regenerate: ModuleType, tmp_path: Path) -> None:
    assert regenerate.copied(tmp_path, tree_vector["nodes"]) == tree_vector["digest"]
    nodes: list[list[Any]] = [[node["path"], node["kind"]] for node in tree_vector["nodes"]]
    for node, told in zip(tree_vector["nodes"], nodes, strict=True):
        if node["kind"] == "file":
            told += [node["executable"], hashlib.sha256(node["text"].encode()).hexdigest()]
        elif node["kind"] == "symlink":
            told += [node["target"]]
    assert stranger["tree"](nodes) == tree_vector["digest"]


def all_vectors() -> list[dict[str, Any]]:
    files = (ROOT / "tests" / "vectors" / f"{name}.json" for name in ("bases", "packages", "steps"))
    return [vector for file in files for vector in json.loads(file.read_text(encoding="utf-8"))]


def test_there_are_enough_and_they_meet_only_where_they_say() -> None:
    vectors = all_vectors()
    assert len(vectors) >= 60
    owner: dict[str, str] = {}
    for vector in vectors:
        meets = owner.setdefault(vector["key"], vector["name"])
        assert vector.get("same_key_as", vector["name"]) == meets


def test_worked_example() -> None:
    definition = {
        "name": "anything",
        "base": {"image": "ubuntu:24.04"},
        "steps": [{"workdir": "/work"}],
        "target": {"cuda": "12.4"},
    }
    sealed = seal(Environment.from_dict(definition))
    rows = PAGE.partition("```text\n")[2].partition("```")[0]
    shown = "".join(re.sub(r"#.*|\s", "", row) for row in rows.splitlines())
    assert encoding.encode([key.KEY_TAG, key.identity(sealed)]).decode() == shown
    assert f"```text\n{key.compute(sealed)}\n```" in PAGE
    assert json.dumps(key.identity(sealed)) in PAGE
