"""The kit finds every broken twin out: the tests that name its fault fail on it, and no others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from testing_kit.twins import TWINS

pytestmark = [pytest.mark.slow, pytest.mark.processes, pytest.mark.needs("chroot")]

Failed = dict[str, set[str]]


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Failed:
    """Name of a twin → the tests that failed on it. One run of pytest for all of them."""
    folder = tmp_path_factory.mktemp("twins")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "--tb=no", f"--basetemp={folder / 'tests'}"]
    report = folder / "report.xml"
    file = Path(__file__).with_name("twins.py")
    done = subprocess.run([*command, f"--junitxml={report}", file], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout[-3000:]
    found: Failed = {}
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - pytest has just written it
        twin = case.attrib["classname"].rpartition(".Test")[2]
        tests = found.setdefault(twin, set())
        if case.find("failure") is not None or case.find("error") is not None:
            tests.add(case.attrib["name"].partition("[")[0])
    return found


@pytest.mark.parametrize("twin", TWINS)
def test_a_broken_twin_is_found_out(twin: str, failed: Failed) -> None:
    assert failed[twin] == TWINS[twin].fails


def test_there_are_enough_of_them() -> None:
    assert len(TWINS) >= 20
