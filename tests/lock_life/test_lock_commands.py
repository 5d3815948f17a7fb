"""``coopery lock``, ``build --frozen`` and their kin, as people and scripts meet them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from coopery.cli.root import root
from coopery.lockfile import read
from lock_life.conftest import Project

pytestmark = pytest.mark.processes

Run = Callable[..., Result]


@pytest.fixture
def run(project: Project, home: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs one command where the definition is."""
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("COOPERY_HOME", str(home))

    def invoke(*args: str, code: int = 0) -> Result:
        result = CliRunner().invoke(root, args, prog_name="coopery")
        assert result.exit_code == code, result.output
        return result

    return invoke


def document(run: Run, *args: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*args, "--output", "json", code=code).stdout)
    return found


def test_a_day_in_the_life(project: Project, run: Run) -> None:
    project.define("tool", "other")
    out = run("lock", "environment.json").stdout
    assert out == "environment.lock is written: 3 packages for linux/amd64\n"
    for words in ((), ("--dry-run",)):
        out = run("lock", "environment.json", *words).stdout
        assert out.endswith("environment.lock is up to date: 3 packages for linux/amd64\n")
    assert run("lock", "environment.json", "--check").stdout == "environment.lock: answers environment.json\n"
    project.add("tool", "3.0", depends=["library"])
    project.add("other", "2.0")
    before = project.lock.read_bytes()
    dry = run("lock", "environment.json", "--update", "--dry-run").stdout.splitlines()
    assert dry[:2] == ["  other 1.0 0 -> 2.0 0", "  tool 2.0 0 -> 3.0 0"]
    assert dry[2] == "environment.lock would be written: 3 packages for linux/amd64"
    assert project.lock.read_bytes() == before
    assert run("lock", "environment.json", "other", "--update").stdout.splitlines()[0] == "  other 1.0 0 -> 2.0 0"
    assert run("build", "environment.json", "--frozen").stderr.count("warning") == 0


def test_frozen_and_check_end_with_nine(project: Project, run: Run) -> None:
    project.define("tool", "other")
    for words in (("build", "environment.json", "--frozen"), ("lock", "environment.json", "--check")):
        result = run(*words, code=9)
        assert "coopery lock makes" in result.stderr
        assert "Traceback" not in result.stderr
    run("lock", "environment.json")
    project.define("tool=1.0", "other")
    for words in (("build", "environment.json", "--frozen"), ("lock", "environment.json", "--check")):
        error = document(run, *words, code=9)["error"]
        assert error["type"] == "StaleLock"
        assert error["fields"]["reasons"] == ["tool=1.0: tool 2.0 0 is locked"]


def test_a_stale_lock_warns_and_builds(project: Project, run: Run) -> None:
    project.define("tool", "other")
    run("lock", "environment.json")
    project.define("tool=1.0", "other")
    found = document(run, "build", "environment.json")
    assert "tool=1.0" in found["warnings"][0]
    assert [line.split()[0] for line in found["moved"]] == ["tool"]
    told = run("plan", "environment.json").stdout
    assert "environment.lock does not answer the definition" in told


def test_locks_are_chosen(project: Project, run: Run) -> None:
    project.define("tool", "other")
    run("lock", "environment.json")
    project.lock.rename(project.folder / "kept.lock")
    project.add("other", "2.0")
    ids = {
        words: document(run, "build", "environment.json", *words)["images"][0]["id"]
        for words in (("--lock", "kept.lock"), ("--no-lock",), ())
    }
    assert ids["--no-lock",] == ids[()] != ids["--lock", "kept.lock"]
    run("build", "environment.json", "--lock", "kept.lock", "--no-lock", code=2)
    run("build", "environment.json", "--lock", "absent.lock", code=7)


def test_the_document(project: Project, run: Run) -> None:
    project.define("tool", "other")
    found = document(run, "lock", "environment.json")
    assert found["schema"] == "coopery.lock.v1"
    assert found["written"] == "environment.lock"
    assert found["changed"] is True
    assert found["lock"]["tag"] == "coopery.lock.v1"
    (platform,) = found["platforms"]
    assert platform["platform"] == "linux/amd64"
    assert platform["digest"] == found["digest"] == read(project.lock).sections[0].lock.digest
    assert platform["packages"] == 3
    assert (platform["moved"], platform["reasons"]) == ([], [])


def test_to_stdout_and_elsewhere(project: Project, run: Run) -> None:
    project.define("tool", "other")
    text = run("lock", "environment.json", "-o", "-").stdout
    assert not project.lock.exists()
    run("lock", "environment.json", "-o", "other.lock")
    assert (project.folder / "other.lock").read_text() == text
    assert not project.lock.exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("tool",), "add --update"),
        (("--update", "nonesuch"), "no package of that name"),
        (("--platform", "amd64"), "known are linux/amd64"),
        (("--check", "--update"), "--check only looks"),
        (("--check", "--dry-run"), "--check only looks"),
        (("-o", "absent/x.lock"), "is not there"),
    ],
)
def test_misuse(project: Project, run: Run, words: tuple[str, ...], told: str) -> None:
    project.define("tool", "other")
    run("lock", "environment.json")
    assert told in run("lock", "environment.json", *words, code=2).stderr


def test_mistakes_in_a_lock_file_are_told_with_their_lines(project: Project, run: Run) -> None:
    project.define("tool", "other")
    run("lock", "environment.json")
    project.lock.write_text(project.lock.read_text().replace("size: ", "size: x"))
    result = run("build", "environment.json", code=2)
    assert "3 mistakes in the lock file" in result.stderr
    assert "\nenvironment.lock:31: " in result.stderr
    assert "building" not in result.stderr
    run("build", "environment.json", "--no-lock")


def test_another_platform(project: Project, run: Run) -> None:
    project.channel.add("pure", noarch="generic")
    project.define("pure")
    run("lock", "environment.json", "--platform", "linux/arm64", "--platform", "linux/amd64")
    assert read(project.lock).platforms == ("linux/amd64", "linux/arm64")
    found = document(run, "build", "environment.json", "--frozen", "--platform", "linux/arm64")["images"][0]
    assert found["platform"] == "linux/arm64"
    run("build", "environment.json", "--platform", "vax", code=2)
