"""A folder to run the documentation in: a small definition that needs nothing, and the files that pages name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

ENVIRONMENT = """\
name: hello
base: scratch
steps:
  - {copy: train.py, to: /job/}
  - {env: {SEED: "1"}}
  - {workdir: /job}
"""
FILES = {
    "environment.yaml": ENVIRONMENT,
    "train.py": "print('trained')\n",
    "environment.yml": "channels: [conda-forge]\ndependencies: [python=3.12]\n",
    "requirements.txt": "requests>=2,<3\n",
}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of one test, with `FILES` in it and a cache folder of its own."""
    folder = tmp_path / "desk"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_text(content)
    for name in ("COOPERY_CACHE", "COOPERY_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COOPERY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.chdir(folder)
    return folder
