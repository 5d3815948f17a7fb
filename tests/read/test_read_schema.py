"""The shipped schema is what the forms say; the examples and the reference keep to both."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from coopery import read, schema
from coopery.read.environment import RECORD
from coopery.read.forms import Either
from coopery.read.records import Record, Variants

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = sorted((REPOSITORY / "examples" / "definitions").glob("*.yaml"))
REFERENCE = REPOSITORY / "docs" / "definition.md"


def plain(text: str) -> object:
    return YAML(typ="safe", pure=True).load(text)


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    document = json.loads(schema.FILE.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


@pytest.mark.processes
def test_the_shipped_file_is_what_the_module_prints():
    done = subprocess.run([sys.executable, "-m", "coopery.schema"], capture_output=True, check=True, timeout=60)
    assert schema.FILE.read_bytes() == done.stdout, "renew it: python -m coopery.schema > that file"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_examples_load_validate_and_dump(example, validator, tmp_path):
    environment = read.load(example)
    validator.validate(plain(example.read_text(encoding="utf-8")))
    (tmp_path / "again.yaml").write_text(read.dump(environment), encoding="utf-8")
    assert read.load(tmp_path / "again.yaml") == environment


def test_there_are_examples():
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"base": {"image": "a", "dockerfile": "b"}},
        {"base": "scratch", "nmae": "x"},
        {"base": "scratch", "target": {"cuda": 12.4}},
        {"base": "scratch", "steps": [{"run": "x", "copy": "y", "to": "/z"}]},
        {"base": "scratch", "steps": [{"env": {"A B": "x"}}]},
        {"base": "scratch", "name": "-x"},
        {"base": "scratch", "conda": {"dependencies": [{"pip": "x"}]}},
    ],
)
def test_the_schema_refuses_what_an_editor_should_mark(document, validator):
    assert not validator.is_valid(document)


def fields(form: object, path: str = "") -> list[str]:
    """Every field path of the definition, as the tables of forms have them."""
    if isinstance(form, Record):
        return [
            name
            for entry in form.fields
            for name in (f"{path}{entry.name}", *fields(entry.form, f"{path}{entry.name}."))
        ]
    if isinstance(form, Variants):
        return [name for variant in form.variants.values() for name in fields(variant, path)]
    if isinstance(form, Either):
        return fields(form.mapping, path)
    return fields(form.item, path) if hasattr(form, "item") else []


def test_the_reference_names_every_field():
    text = REFERENCE.read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `([a-z_.]+)` \|", text, re.MULTILINE))
    assert rows == set(fields(RECORD))


def test_the_examples_in_the_reference_load(tmp_path):
    """Each yaml block is a definition, or a part of one that lacks only its base."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "environment.yml").write_text("channels: [conda-forge]\ndependencies: [python=3.12]\n")
    (tmp_path / "requirements.txt").write_text("requests\n")
    assert len(blocks) > 10
    for number, block in enumerate(blocks):
        text = block if re.search(r"^base:", block, re.MULTILINE) else "base: scratch\n" + block
        file = tmp_path / f"{number}.yaml"
        file.write_text(text, encoding="utf-8")
        assert read.load(file), block
