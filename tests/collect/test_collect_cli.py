"""`coopery disk`, `gc`, `pin`, `unpin` and `pins`, as they are typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from collect_tools import DAY, age

from coopery.cli.root import root

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    (tmp_path / "data").write_text("data\n" * 5000)
    (tmp_path / "a.yaml").write_text("name: ada\nbase: scratch\nsteps:\n  - {copy: data, to: /data}\n")
    monkeypatch.chdir(tmp_path)

    def invoke(*args: str) -> Result:
        return CliRunner().invoke(root, [*args, "--home", str(tmp_path / "home")])

    assert invoke("build", "a.yaml").exit_code == 0
    return invoke


def document(done: Result) -> dict[str, Any]:
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_disk(run: Run, tmp_path: Path) -> None:
    (tmp_path / "home" / "mine\x1b[31m").write_text("")
    text = run("disk").stdout
    lines = text.splitlines()
    assert lines[0].split() == ["kind", "count", "size"]
    assert any(line.startswith("total") for line in lines)
    assert any(line.startswith("ada (") for line in lines)
    assert "not made by Coopery: mine\\x1b[31m" in text
    assert max(map(len, lines)) <= 100
    found = document(run("disk", "--output", "json"))
    assert found["schema"] == "coopery.disk.v1"
    assert sum(kind["size"] for kind in found["kinds"]) == found["total"]
    assert found["images"][0]["name"].startswith("ada (")


def test_gc_pin_and_unpin(run: Run, tmp_path: Path) -> None:
    assert run("gc", "--keep-last", "0").stdout.splitlines()[0].split() == ["image", "stays"]
    assert run("pin", "a.yaml", "--name", "paper").stdout.startswith("pinned as paper: ada ")
    assert "paper" in run("pins").stdout
    age(tmp_path / "home", DAY)
    found = document(run("gc", "--keep-last", "0", "--dry-run", "--output", "json"))
    assert found["schema"] == "coopery.gc.v1"
    assert (found["dry_run"], found["images"]) == (True, [])
    assert found["kept"][0][1] == "pinned as paper"
    assert run("unpin", "paper").exit_code == 0
    assert document(run("pins", "--output", "json"))["pins"] == []
    done = run("gc", "--keep-last", "0")
    assert "not among the last 0" in done.stdout
    assert " went, " in done.stdout.splitlines()[-1]
    assert run("gc").stdout.startswith("nothing to take away")


@pytest.mark.parametrize(
    ("option", "value", "word"),
    [
        ("--keep-last", "-1", "-1"),
        ("--unused-for", "30", "expected a time"),
        ("--max-size", "20", "expected a size"),
        ("--grace", "soon", "expected a time"),
    ],
)
def test_limits_are_read_strictly(run: Run, option: str, value: str, word: str) -> None:
    done = run("gc", option, value)
    assert done.exit_code == 2
    assert word in done.output
