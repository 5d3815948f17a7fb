"""py-rattler can abort an interpreter that ends: many short builds, none of which may be hurt by it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conda.maker import Channel
from soak import rounds
from trunk import health, small
from trunk.caller import Caller

BUILDS = rounds(40, 200)


@pytest.mark.slow
def test_many_short_builds_all_end_well(tmp_path: Path) -> None:
    small.fill(Channel(tmp_path / "channel"))
    files = [
        small.write(tmp_path, "tool", "old", name=f"{number}.json", steps=[{"env": {"NUMBER": str(number)}}])
        for number in range(BUILDS)
    ]
    home = tmp_path / "home"

    def build(file: Path) -> tuple[int, str, bool]:
        done = Caller()("build", file, "--output", "json", "--quiet", environ={"COOPERY_HOME": str(home)})
        return done.returncode, done.stderr, '"hit": false' in done.stdout

    with ThreadPoolExecutor(4) as callers:
        outcomes = list(callers.map(build, files))
    assert [outcome for outcome in outcomes if outcome != (0, "", True)] == []
    assert health.check(home) == BUILDS
    assert health.processes_of(home) == []
