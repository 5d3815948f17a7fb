"""``coopery cache`` as people type it: what it says, in words and as JSON, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from coopery import Environment
from coopery.cli.root import main
from moving.conftest import Machine

pytestmark = pytest.mark.slow


@pytest.fixture
def coopery(here: Machine, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs one command on a machine, ours unless given."""

    def run(*args: object, machine: Machine = here) -> tuple[int, str, str]:
        status = main([*map(str, args), "--home", str(machine.home), "--cache", "sqlite:"])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


def test_it_says_what_it_copied(coopery: Any, here: Machine, there: Machine, hello: Environment) -> None:
    image = here.build(hello)
    status, out, err = coopery("cache", "copy", "home:", here.folder / "b.tar.zst")
    assert (status, err) == (0, "")
    rows = dict(line.split(None, 1) for line in out.splitlines())
    assert (rows["keys"], rows["images"]) == ("1", "1")
    digest = rows["bundle"]
    status, out, err = coopery("cache", "copy", here.folder / "b.tar.zst", "home:", "--output", "json", machine=there)
    document = json.loads(out)
    assert (status, document["schema"], document["bundle"]) == (0, "coopery.copy.v1", digest)
    assert (document["keys"], document["images"], document["parts"]) == ([image.key], [image.id], 3)
    assert coopery("cache", "copy", here.folder / "b.tar.zst", "home:", machine=there)[1].count("there already") == 2


def test_a_definition_s_file_chooses(coopery: Any, here: Machine, tmp_path: Path) -> None:
    for name in ("one", "two"):
        text = {"base": "scratch", "steps": [{"copy": "one.json", "to": "/x"}, {"env": {"NAME": name}}]}
        (tmp_path / f"{name}.json").write_text(json.dumps(text))
        here.build(Environment.load(tmp_path / f"{name}.json"))
    _, out, _ = coopery("cache", "copy", "home:", tmp_path / "b.tar", tmp_path / "one.json", "--output", "json")
    assert json.loads(out)["keys"] == [here_key(here, tmp_path / "one.json")]


def here_key(machine: Machine, file: Path) -> str:
    with machine.builder() as builder:
        return builder.key(Environment.load(file))


def test_a_conflict_ends_with_6_and_both_are_told(
    coopery: Any, here: Machine, there: Machine, hello: Environment
) -> None:
    here.build(hello)
    here.copy("home:", here.folder / "b.tar")
    there.build(hello)
    with there.builder() as builder:
        (found,) = builder.cache.list("resolution")
        builder.cache.delete("resolution", found.name)
        builder.cache.put(evolve(found, body={**found.body, "image": "sha256:" + "1" * 64}, writer="bob@far"), 0)
    status, out, err = coopery("cache", "copy", here.folder / "b.tar", "home:", machine=there)
    assert status == 6
    assert "what is there stays" in err
    assert "sha256:111111111111 by bob@far" in err
    assert "keys" in out


@pytest.mark.parametrize(
    ("args", "status", "words"),
    [
        (("copy", "home:", "home:"), 2, "are the same"),
        (("copy", "home:", "nowhere"), 2, "neither a store"),
        (("copy", "missing.tar", "home:"), 7, "no such bundle"),
        (("copy", "home:", "b.tar", "--since", "soon"), 2, "expected a time"),
        (("copy", "strange:/x", "home:"), 3, "no cache store knows"),
        (("copy",), 2, "Missing argument"),
        (("init", "group"), 2, "Missing option"),
        (("init", "--group", "no-such-group-here", "group"), 2, "no such group"),
        (("frobnicate",), 2, "No such command"),
    ],
    ids=str,
)
def test_what_is_wrong_is_told(
    coopery: Any, args: tuple[str, ...], status: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found, out, err = coopery("cache", *args)
    assert (found, out) == (status, "")
    assert words in err


def test_a_damaged_bundle_ends_with_5(coopery: Any, here: Machine, there: Machine, hello: Environment) -> None:
    here.build(hello)
    here.copy("home:", here.folder / "b.tar")
    data = bytearray((here.folder / "b.tar").read_bytes())
    data[len(data) // 2] ^= 1
    (here.folder / "b.tar").write_bytes(data)
    status, out, err = coopery("cache", "copy", here.folder / "b.tar", "home:", machine=there)
    assert (status, out) == (5, "")
    assert "nothing of it was taken" in err


def test_another_bundle_than_the_one_that_was_told_ends_with_5(
    coopery: Any, here: Machine, there: Machine, hello: Environment
) -> None:
    here.build(hello)
    digest = here.copy("home:", here.folder / "b.tar").bundle
    other = f"sha256:{'0' * 64}"
    status, out, err = coopery("cache", "copy", here.folder / "b.tar", "home:", "--digest", other, machine=there)
    assert (status, out) == (5, "")
    assert digest in err
    assert other in err
    assert "nothing of it was taken" in err
    assert coopery("cache", "copy", here.folder / "b.tar", "home:", "--digest", digest, machine=there)[0] == 0
