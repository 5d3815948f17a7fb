"""Real packages: a pin that changes, and unrelated packages of which there are newer versions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coopery import Builder, Environment
from coopery.lockfile import read
from trunk.science import CHANNEL

pytestmark = [pytest.mark.processes, pytest.mark.needs("channel")]


def define(folder: Path, *specs: str) -> Environment:
    path = folder / "environment.json"
    conda = {"channels": [str(CHANNEL)], "dependencies": ["python=3.11", *specs]}
    path.write_text(json.dumps({"base": "scratch", "target": {"glibc": "2.36"}, "conda": conda}))
    return Environment.load(path)


def test_one_pin_of_a_real_environment(tmp_path: Path) -> None:
    with Builder(home=tmp_path / "home") as builder:
        old = define(tmp_path, "scikit-learn", "numpy=1.26", "joblib=1.4.0", "six=1.15", "threadpoolctl=3.4")
        builder.relock(old).save()
        before = read(tmp_path / "environment.lock")
        new = define(tmp_path, "scikit-learn", "numpy", "joblib", "six=1.16", "threadpoolctl")
        found = builder.relock(new)
        assert found.changes[0].lines == ("  six 1.15.0 py_0 -> 1.16.0 py_0",)
        found.save()
        changed = set(read(tmp_path / "environment.lock").text.splitlines()) - set(before.text.splitlines())
        fields = [line.split(":")[0].strip() for line in changed if line.startswith("        ") and "-" not in line[:9]]
        assert sorted(fields) == ["file", "hash", "size", "version"], "four lines, all of one package"
        everything = builder.relock(new, update=True).changes[0].lines
        assert {line.split()[0] for line in everything} >= {"numpy", "joblib", "threadpoolctl"}
