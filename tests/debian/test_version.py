from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coopery_debian.version import key, satisfies

RISING = ["0~~", "0~", "0", "0a", "1a", "1+", "1.0~rc1-1", "1.0-1", "1.0-1+b1", "1.0-1.1", "1.0.1", "1.10", "1:0.1"]
VERSIONS = st.from_regex(r"([0-9]:)?[0-9][0-9a-z.+~]{0,6}(-[0-9a-z.+~]{1,4})?", fullmatch=True)


def test_order() -> None:
    assert sorted(RISING, key=key) == RISING


@pytest.mark.parametrize(
    ("have", "operator", "want", "expected"),
    [
        ("1.0", "", "", True),
        ("2.36-9+deb12u10", ">=", "2.36", True),
        ("1.0", "<<", "1.0", False),
        ("1.00", "=", "1.0", True),
        ("1:1.0", ">>", "9.9", True),
        ("1.0~rc1", "<=", "1.0", True),
    ],
)
def test_satisfies(have: str, operator: str, want: str, expected: bool) -> None:
    assert satisfies(have, operator, want) is expected


@pytest.mark.skipif(not shutil.which("dpkg"), reason="dpkg, to compare with, is not here")
@settings(max_examples=60, deadline=None)
@given(VERSIONS, VERSIONS)
@example("0", "0-0")
@pytest.mark.processes
def test_agrees_with_dpkg(one: str, other: str) -> None:
    relation = "lt" if key(one) < key(other) else "gt" if key(one) > key(other) else "eq"
    assert subprocess.run(["dpkg", "--compare-versions", one, relation, other], check=False).returncode == 0
