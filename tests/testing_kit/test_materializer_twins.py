"""The kit for materializers finds every broken twin out: the tests that name its fault fail on it, and no others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from testing_kit.materializer_twins import TWINS

pytestmark = [pytest.mark.slow, pytest.mark.processes]


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Name of a twin → the tests that failed on it. One run of pytest for all of them."""
    folder = tmp_path_factory.mktemp("twins")
    report, file = folder / "report.xml", Path(__file__).with_name("materializer_twins.py")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--tb=no",
        f"--basetemp={folder / 'tests'}",
        f"--junitxml={report}",
    ]
    done = subprocess.run([*command, file], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout[-3000:]
    found: dict[str, set[str]] = {}
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - pytest has just written it
        tests = found.setdefault(case.attrib["classname"].rpartition(".Test")[2], set())
        if case.find("failure") is not None or case.find("error") is not None:
            tests.add(case.attrib["name"].partition("[")[0])
    return found


@pytest.mark.parametrize("twin", TWINS)
def test_a_broken_materializer_is_found_out(twin: str, failed: dict[str, set[str]]) -> None:
    assert failed[twin] == TWINS[twin]


def test_there_are_enough_of_these() -> None:
    assert len([fails for fails in TWINS.values() if fails]) >= 10
