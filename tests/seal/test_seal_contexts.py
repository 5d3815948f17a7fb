"""Build contexts as bases: what is sent to the builder, and so what counts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from coopery import key
from coopery.definition import (
    ContextBase,
    Environment,
)
from coopery.errors import DefinitionError
from coopery.seal import recheck, seal


def refused(environment: Environment) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        seal(environment)
    return [str(problem) for problem in caught.value.problems]


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "image"
    (folder / "data" / "deep").mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (folder / "app.py").write_text("1")
    (folder / "data" / "big.bin").write_text("2")
    (folder / "data" / "deep" / "keep.txt").write_text("3")
    return folder


def sent(folder: Path, dockerfile: str = "Dockerfile") -> list[str]:
    environment = Environment(ContextBase(folder.name, dockerfile), root=folder.parent)
    return [node.path for node in recheck(seal(environment).base)]


def context_key(folder: Path, dockerfile: str = "Dockerfile") -> str:
    return key.compute(seal(Environment(ContextBase(folder.name, dockerfile), root=folder.parent)))


def test_a_context_sends_all_without_an_ignore_file(context: Path) -> None:
    assert sent(context) == ["", "Dockerfile", "app.py", "data", "data/big.bin", "data/deep", "data/deep/keep.txt"]


def test_what_is_ignored_does_not_count(context: Path) -> None:
    (context / ".dockerignore").write_text("data\n.dockerignore\n")
    before = context_key(context)
    (context / "data" / "big.bin").write_text("changed")
    assert context_key(context) == before
    assert sent(context) == ["", "Dockerfile", "app.py"]
    (context / "app.py").write_text("changed")
    assert context_key(context) != before


def test_what_is_taken_back_comes_with_its_folders(context: Path) -> None:
    (context / ".dockerignore").write_text("*\n!data/deep/keep.txt\n")
    assert sent(context) == ["", "data", "data/deep", "data/deep/keep.txt"]


def test_an_ignored_dockerfile_counts_all_the_same(context: Path) -> None:
    (context / ".dockerignore").write_text("*\n")
    before = context_key(context)
    assert sent(context) == [""]
    (context / "Dockerfile").write_text("FROM other\n")
    assert context_key(context) != before


def test_a_dockerfiles_own_ignore_file_stands_in(context: Path) -> None:
    (context / ".dockerignore").write_text("app.py\n")
    (context / "Dockerfile.dockerignore").write_text("data\n*.dockerignore\n.dockerignore\n")
    assert sent(context) == ["", "Dockerfile", "app.py"]


def test_unignored_pipes_only(context: Path) -> None:
    os.mkfifo(context / "data" / "pipe")
    (context / ".dockerignore").write_text("data\n")
    sent(context)
    (context / ".dockerignore").unlink()
    (problem,) = refused(Environment(ContextBase(context.name), root=context.parent))
    assert "a named pipe" in problem


@pytest.mark.parametrize(
    ("dockerfile", "ignore", "message"),
    [
        ("Absent", "", "nothing is there"),
        ("../Dockerfile", "", "expected the Dockerfile inside the context"),
        ("Dockerfile", "ok\n[z", ".dockerignore: line 2"),
        ("Dockerfile", "!\n", ".dockerignore: line 1"),
    ],
)
def test_contexts_that_are_refused(context: Path, dockerfile: str, ignore: str, message: str) -> None:
    (context / ".dockerignore").write_text(ignore)
    (problem,) = refused(Environment(ContextBase(context.name, dockerfile), root=context.parent))
    assert problem.startswith("$.base.context: ")
    assert message in problem


def test_ignore_files_outside_utf8(context: Path) -> None:
    (context / ".dockerignore").write_bytes(b"\xff")
    (problem,) = refused(Environment(ContextBase(context.name), root=context.parent))
    assert ".dockerignore" in problem


def test_links_in_a_context_are_text_wherever_they_lead(context: Path) -> None:
    (context / "link").symlink_to("../../etc")
    assert "link" in sent(context)
