"""The page of promises names tests that exist, all in one form, and no promise without a test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from doc_pages import ROOT

PAGE = ROOT / "docs" / "promises.md"
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def functions_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_test_that_is_named_exists() -> None:
    named = [match.groups() for row in rows() for match in TEST.finditer(row[2])]
    assert len(named) > 40
    lost = [f"{file}::{name}" for file, name in named if name not in functions_of(ROOT / file)]
    assert lost == []


def test_every_promise_has_a_test_and_a_figure() -> None:
    for number, promise, shown, figure in rows():
        assert promise, number
        assert figure, promise
        assert TEST.fullmatch(shown.split(", ")[0]), promise
        assert TEST.sub("", shown).strip(", ") == "", promise


def test_every_promise_of_this_part_is_there() -> None:
    numbers = [int(row[0]) for row in rows() if row[0]]
    assert numbers == sorted(set(numbers))
    assert {*range(19, 36), 37, 38, 39} <= set(numbers)
