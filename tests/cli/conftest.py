from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest
from click.testing import CliRunner, Result

from coopery.cli.root import root

DEFINITION = """\
name: demo
base: scratch
steps:
  - copy: src
    to: /app
  - env: {COLOR: red}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with two definitions that differ in one variable, one broken, and a cache of its own."""
    work = tmp_path / "work"
    (work / "src").mkdir(parents=True)
    (work / "src" / "main.py").write_text("x = 1\n")
    (work / "a.yaml").write_text(DEFINITION)
    (work / "same.yaml").write_text("# the same\n" + DEFINITION.replace("demo", "other"))
    (work / "b.yaml").write_text(DEFINITION.replace("red", "blue"))
    (work / "broken.yaml").write_text("base: scratch\nsteps:\n  - rn: x\n  - user: ''\n")
    for variable in [name for name in os.environ if name.startswith("COOPERY_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("COOPERY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def coopery(folder: Path) -> Callable[..., Result]:
    """Runs one command in this process."""

    def run(*args: str) -> Result:
        return CliRunner().invoke(root, args, prog_name="coopery")

    return run


@pytest.fixture
def document(coopery: Callable[..., Result]) -> Callable[..., dict[str, Any]]:
    """Runs one command with ``--output json`` and returns its document."""

    def run(*args: str, code: int = 0) -> dict[str, Any]:
        result = coopery(*args, "--output", "json")
        assert result.exit_code == code, result.output
        found: dict[str, Any] = json.loads(result.stdout)
        assert found["schema"] == f"coopery.{args[0]}.v1"
        return found

    return run


@pytest.fixture
def process(folder: Path) -> Iterator[Callable[..., Popen[str]]]:
    """Starts the real program, with variables on top of this process's. What still runs at the end is killed."""
    started: list[Popen[str]] = []

    def start(*args: str, environ: Mapping[str, str] | None = None, **options: Any) -> Popen[str]:
        argv = [sys.executable, "-m", "coopery", *args]
        streams = {"stdout": PIPE, "stderr": PIPE, **options}
        started.append(Popen(argv, env={**os.environ, **(environ or {})}, text=True, **streams))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        with one:  # closes its streams and waits
            pass
