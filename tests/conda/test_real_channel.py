"""The same, with a real Python and real scientific packages."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from conda.desk import Desk, union
from conda.plain import compare
from coopery.bytecode import Python
from coopery.target import Resolved

pytestmark = pytest.mark.channel

SCIENCE = ("python", "scikit-learn", "pandas", "matplotlib", "pip", "requests")


def test_a_scientific_environment_is_a_plain_install(desk: Desk, target: Resolved, science_channel: Path) -> None:
    found = compare(desk, target, *SCIENCE, channels=(str(science_channel),))
    assert len(found) > 5000
    assert "opt/env/bin/pip" in found


def test_the_other_platform_too(desk: Desk, target: Resolved, science_channel: Path) -> None:
    arm = evolve(target, platform="linux/arm64", archspec="aarch64")
    compare(desk, arm, "python", "six", channels=(str(science_channel),))


@pytest.mark.slow
def test_bytecode_is_the_same_for_both_platforms_and_both_ways(
    desk: Desk, target: Resolved, science_channel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The locked Python itself, and for an image of the other platform the same one fetched for this machine."""
    specs = ("python", "six", "packaging", "idna", "pip")
    for near in ("running", "installed"):
        monkeypatch.setattr(f"coopery.bytecode.interpreter.{near}", dict[Python, Path]().get)
    amd64 = union(desk.trees(*specs, target=evolve(target, bytecode=True), channels=(str(science_channel),)))
    arm64_target = evolve(target, bytecode=True, platform="linux/arm64", archspec="aarch64")
    arm64 = union(desk.trees(*specs, target=arm64_target, channels=(str(science_channel),)))
    pyc = {path: one for path, one in amd64.items() if path.endswith(".pyc")}
    shared = {path: one for path, one in arm64.items() if path.endswith(".pyc") and "_sysconfigdata" not in path}
    assert len(shared) > 900
    assert {path for path, one in shared.items() if pyc.get(path) != one} == set()
