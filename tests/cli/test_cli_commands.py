from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from coopery import Builder, Environment

Run = Callable[..., Result]
Document = Callable[..., dict[str, Any]]


# --- key -------------------------------------------------------------------------------------------------


def test_two_keys_from_three_files(coopery: Run) -> None:
    result = coopery("key", "a.yaml", "same.yaml", "b.yaml")
    rows = [line.split("  ") for line in result.stdout.splitlines()]
    assert [file for _, file in rows] == ["a.yaml", "same.yaml", "b.yaml"]
    assert all(len(key) == 64 for key, _ in rows)
    assert rows[0][0] == rows[1][0] != rows[2][0]
    assert result.stderr == ""


def test_key_says_what_is_in_it(document: Document) -> None:
    (found,) = document("key", "a.yaml")["keys"]
    assert found["identity"]["steps"][1] == {"env": {"COLOR": "red"}}
    with Builder() as builder:
        assert builder.key(Environment.load("a.yaml")) == found["key"]


# --- build -----------------------------------------------------------------------------------------------


def test_build_then_hit(coopery: Run) -> None:
    first = coopery("build", "a.yaml")
    assert first.exit_code == 0
    assert "layers     1 layer made, 0 reused\n" in first.stdout
    assert first.stderr.startswith("building demo, key ")
    assert "base: done in" in first.stderr
    second = coopery("build", "same.yaml")
    assert "layers     1 (a hit: nothing was built)\n" in second.stdout
    assert second.stderr == ""
    ids = {line for result in (first, second) for line in result.stdout.splitlines() if line.startswith("image ")}
    assert len(ids) == 1


def test_build_of_several_and_quiet(coopery: Run) -> None:
    result = coopery("build", "-q", "a.yaml", "b.yaml")
    assert result.stderr == ""
    blocks = result.stdout.split("\n\n")
    assert [block.splitlines()[0] for block in blocks] == ["a.yaml:", "b.yaml:"]
    assert "1 reused" in blocks[1]


def test_build_document(document: Document) -> None:
    (made,) = document("build", "a.yaml")["images"]
    (hit,) = document("build", "a.yaml")["images"]
    assert (made["hit"], hit["hit"]) == (False, True)
    assert made["made"]["layers_made"] == 1
    assert made["made"]["seconds"]["total"] > 0
    differ = {"hit", "made", "took"}
    assert {k: v for k, v in made.items() if k not in differ} == {k: v for k, v in hit.items() if k not in differ}
    assert set(made) == {
        *("file", "key", "id", "reference", "place", "digest", "generation", "platform", "size", "layers", "lock"),
        *(
            "interpreter",
            "prefix",
            "hit",
            "made",
            "cached",
            "exported",
            "pushed",
            "checked",
            "under",
            "instead_of",
            "took",
        ),
    }


def test_rebuild_is_the_next_generation(coopery: Run, document: Document) -> None:
    coopery("build", "a.yaml")
    (again,) = document("build", "a.yaml", "--rebuild")["images"]
    assert again["generation"] == 2
    assert not again["hit"]
    assert document("build", "a.yaml")["moved"] == document("build", "a.yaml")["warnings"] == []


def test_build_writes_elsewhere(coopery: Run, folder: Path) -> None:
    result = coopery("build", "a.yaml", "--to", "oci-archive:out.tar:v1")
    assert "written to  oci-archive:out.tar:v1\n" in result.stdout
    with tarfile.open(folder / "out.tar") as archive:
        assert "index.json" in archive.getnames()
    assert coopery("build", "a.yaml", "b.yaml", "--to", "oci:x").exit_code == 2
    assert coopery("build", "a.yaml", "--to", "ftp:x").exit_code == 2


def test_a_failed_build_says_where_its_log_is(coopery: Run, document: Document, folder: Path) -> None:
    (folder / "fails.yaml").write_text("base: scratch\nsteps:\n  - workdir: /job\n  - user: ghost\n")
    failed = document("build", "a.yaml", "fails.yaml", code=coopery("build", "fails.yaml").exit_code)
    assert [image["file"] for image in failed["images"]] == ["a.yaml"]
    log = failed["error"]["log"]
    result = coopery("build", "fails.yaml")
    assert result.exit_code == failed["error"]["exit_code"] == 4
    assert "error: " in result.stderr
    assert "\n  log: " in result.stderr
    assert Path(log).read_text().splitlines()[-1].endswith(coopery("logs", "fails.yaml").stdout.splitlines()[-1][11:])
    assert "build failed" in coopery("logs", "fails.yaml").stdout


# --- mistakes ----------------------------------------------------------------------------------------------


def test_all_mistakes_of_all_files_are_told_before_anything_is_built(coopery: Run) -> None:
    result = coopery("build", "a.yaml", "broken.yaml", "absent.yaml")
    assert result.exit_code == 2
    assert result.stdout == ""
    first, *rest = result.stderr.splitlines()
    assert first == f"error: {len(rest)} mistakes in the definition"
    assert rest[0].startswith("broken.yaml:3:5: $.steps[0]")
    assert rest[-1].startswith("absent.yaml: $: ")


def test_mistakes_as_a_document(document: Document) -> None:
    error = document("build", "broken.yaml", code=2)["error"]
    assert error["type"] == "DefinitionError"
    assert error["exit_code"] == 2
    assert error["problems"][0]["file"] == "broken.yaml"
    assert error["problems"][0]["line"] == 3


@pytest.mark.parametrize(
    ("args", "code", "told"),
    [
        (["bild"], 2, "Did you mean 'build'?"),
        (["a.yaml"], 2, "Try: coopery build a.yaml"),
        (["build"], 2, "Missing argument 'FILE...'"),
        (["build", "a.yaml", "--nope"], 2, "--nope"),
        (["details", "zz"], 2, "'zz' is neither a file nor a key"),
        (["details", "a.yaml"], 7, "nothing is recorded"),
        (["details", "0" * 65], 2, "neither a file nor a key"),
        (["logs", "abc"], 7, "no key begins with 'abc'"),
        (["run", "a.yaml", "-e", "NOT_SET_HERE", "--", "x"], 2, "-e NOT_SET_HERE: it is not set here"),
        (["run", "a.yaml", "-e", "=1", "--", "x"], 2, "expected NAME=VALUE"),
        (["run", "a.yaml", "--mount", "src", "--", "x"], 2, "expected HOST:PATH"),
        (["run", "a.yaml", "--mount", "src:relative", "--", "x"], 2, "expected HOST:PATH"),
        (["run", "a.yaml", "--mount", "src:/a/../b", "--", "x"], 2, "expected HOST:PATH"),
        (["run", "a.yaml", "--mount", "absent:/a", "--", "x"], 2, "nothing is at absent"),
        (["build", "a.yaml", "--backend", "nonesuch"], 3, "nonesuch"),
        (["build", "a.yaml", "--cache", "nonesuch:"], 3, "nonesuch"),
        (["lock", "a.yaml"], 2, "nothing to lock"),
    ],
)
def test_misuse(args: list[str], code: int, told: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from coopery.cli import main

    assert main(args) == code
    captured = capfd.readouterr()
    assert told in captured.err
    assert captured.err.startswith("error: ")
    assert captured.out == ""


def test_a_key_that_is_not_known_is_answered_with_the_nearest(coopery: Run, document: Document) -> None:
    key = document("build", "a.yaml")["images"][0]["key"]
    wrong = key[:6] + ("0" if key[6] != "0" else "1")
    result = coopery("details", wrong)
    assert result.exit_code == 7
    assert f"the nearest is {key[:16]}" in result.stderr


# --- what is recorded --------------------------------------------------------------------------------------


def test_list_and_details(coopery: Run, document: Document) -> None:
    assert coopery("list").stderr == "nothing has been built here yet\n"
    assert document("list")["builds"] == []
    (made,) = document("build", "a.yaml")["images"]
    coopery("build", "b.yaml")
    head, *rows = coopery("list").stdout.splitlines()
    assert head.split() == ["key", "name", "generation", "size", "made", "there"]
    assert [row.split()[-1] for row in rows] == ["yes", "yes"]
    told = document("details", made["key"][:8])
    assert told == document("details", "a.yaml") | {"schema": told["schema"]}
    assert told["exists"]
    assert told["image"]["id"] == made["id"]
    assert len(told["layers"]) == 1
    text = coopery("details", "same.yaml").stdout
    assert made["reference"] in text
    assert "largest first" in text


def test_details_of_an_image_that_is_gone(coopery: Run, folder: Path) -> None:
    coopery("build", "a.yaml")
    (Path(os.environ["COOPERY_HOME"]) / "images" / "index.json").unlink()
    for blob in (Path(os.environ["COOPERY_HOME"]) / "images" / "blobs" / "sha256").iterdir():
        blob.unlink()
    assert "no longer there" in coopery("details", "a.yaml").stdout
    assert coopery("list").stdout.splitlines()[1].endswith("no")


def test_plan(coopery: Run, document: Document) -> None:
    before = document("plan", "a.yaml")
    assert not before["known"]
    assert before["image"] is None
    assert any("copy src to /app" in line for line in before["stages"])
    assert "known    no\n" in coopery("plan", "a.yaml").stdout
    coopery("build", "a.yaml")
    after = document("plan", "a.yaml")
    assert after["known"]
    assert after["image"]["hit"]
    assert after["stages"][0].startswith("nothing")


def test_why(coopery: Run, document: Document) -> None:
    assert coopery("why", "a.yaml", "b.yaml").stdout == "steps[1].env.COLOR: red → blue\n"
    assert coopery("why", "a.yaml", "same.yaml").stdout == "the same key: no input differs\n"
    key = document("build", "a.yaml")["images"][0]["key"]
    told = document("why", key[:10], "b.yaml")
    assert told["same"] is False
    assert told["differences"] == [{"path": "steps[1].env.COLOR", "before": "red", "after": "blue"}]


def test_logs(coopery: Run, document: Document) -> None:
    key = document("build", "a.yaml")["images"][0]["key"]
    assert "build finished" in coopery("logs", key[:10].upper()).stdout
    assert document("logs", "a.yaml")["log"].count("\n") > 3


def test_plugins(coopery: Run, document: Document) -> None:
    found = document("plugins")["plugins"]
    assert {"kind", "name", "distribution", "version", "abilities"} == set(found[0])
    assert any(plugin["kind"] == "backend" and plugin["name"] == "oci" for plugin in found)
    assert "coopery-oci" in coopery("plugins").stdout


# --- terminals -----------------------------------------------------------------------------------------------


def test_nothing_in_a_name_steers_the_terminal(coopery: Run, folder: Path) -> None:
    evil = "evil\x1b[31m\r.yaml"
    (folder / evil).write_text("base: 3\n")
    for result in (coopery("build", evil), coopery("build", "a.yaml", evil), coopery("details", "a\x1bb")):
        assert "\x1b" not in result.output
        assert "\r" not in result.output
    assert json.loads(coopery("build", evil, "--output", "json").stdout)["error"]["problems"][0]["file"] == evil
