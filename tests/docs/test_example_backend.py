"""The example plugin in examples/backend: installed, it really builds and runs. tests/testing_kit has the rest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from coopery.testing.backend.root import root_tar

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "backend"
DEFINITION = """\
base: {rootfs: base.tar}
steps:
  - run: echo "made in a step" > /srv/made
  - env: {GREETING: hello}
"""


def test_it_is_as_short_as_the_page_says() -> None:
    lines = [path.read_text(encoding="utf-8").count("\n") for path in (EXAMPLE / "coopery_unshare").glob("*.py")]
    assert sum(lines) <= 600


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.needs("chroot", "overlay")
def test_installed_it_builds_and_runs(tmp_path: Path) -> None:
    source, site = tmp_path / "source", tmp_path / "site"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", site]
    subprocess.run([*pip, source], check=True, capture_output=True)
    (tmp_path / "base.tar").write_bytes(root_tar())
    definition = tmp_path / "environment.yaml"
    definition.write_text(DEFINITION)
    variables = {**os.environ, "PYTHONPATH": str(site), "COOPERY_HOME": str(tmp_path / "home")}

    def coopery(*argv: str | Path) -> str:
        command = [sys.executable, "-m", "coopery", *argv, "--backend", "unshare"]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = json.loads(coopery("build", definition, "--output", "json"))["images"][0]
    assert first["reference"].startswith("unshare:")
    assert json.loads(coopery("build", definition, "--output", "json"))["images"][0]["hit"]
    command = [sys.executable, "-m", "coopery", "run", "--backend", "unshare", definition, "--"]
    script = 'echo "$GREETING"; cat /srv/made; exit 5'
    done = subprocess.run([*command, "sh", "-c", script], env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (5, "hello\nmade in a step\n")
