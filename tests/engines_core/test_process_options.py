"""The options of ``run``, ``shell`` and ``debug``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from coopery.cli.process import request
from coopery.errors import UsageError

NONE: dict[str, Any] = {
    "mounts": (), "variables": (), "files": (), "workdir": "", "user": "", "gpus": None, "gpu": False,
}  # fmt: skip


def test_nothing_is_asked_for():
    asked = request(("a", "-b"), NONE)
    assert (asked.argv, asked.env, asked.mounts, asked.read_only, asked.gpu) == (("a", "-b"), {}, [], [], False)


def test_mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a:b").mkdir()
    asked = request((), NONE | {"mounts": (".:/x", "./a:b:/y:ro", f"{tmp_path}:/z:rw", ".:/ro")})
    assert asked.mounts == [(tmp_path, "/x"), (tmp_path / "a:b", "/y"), (tmp_path, "/z"), (tmp_path, "/ro")]
    assert asked.read_only == ["/y"]


@pytest.mark.parametrize("text", ["", "/x", ":/x", ".:x", ".:/x/../y", "/nowhere/at/all:/x", ".:ro", ".:/x:rx"])
def test_other_mounts_are_refused(text: str):
    with pytest.raises(UsageError, match="--mount"):
        request((), NONE | {"mounts": (text,)})


def test_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PASSED", "on")
    path = tmp_path / "env"
    path.write_text("# no\n\nA=1\nB=x = y # z\nPASSED\n  C=3\n")
    asked = request((), NONE | {"files": (str(path),), "variables": ("A=2", "D=")})
    assert asked.env == {"A": "2", "B": "x = y # z", "PASSED": "on", "C": "3", "D": ""}


@pytest.mark.parametrize(("text", "words"), [("=x", "1: '='…: expected NAME=VALUE"), ("UNSET_HERE", "1 UNSET_HERE:")])
def test_mistakes_in_a_file_of_variables_have_their_line(tmp_path: Path, text: str, words: str):
    path = tmp_path / "env"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        request((), NONE | {"files": (str(path),)})
    assert f"{path}:{words}" in caught.value.message


def test_a_file_of_variables_that_is_none(tmp_path: Path):
    (tmp_path / "env").write_bytes(b"\xff=1")
    for name in ("env", "missing"):
        with pytest.raises(UsageError, match="cannot be read"):
            request((), NONE | {"files": (str(tmp_path / name),)})


def test_gpus():
    assert request((), NONE | {"gpus": "all"}).gpu
    assert request((), NONE | {"gpu": True}).gpu
