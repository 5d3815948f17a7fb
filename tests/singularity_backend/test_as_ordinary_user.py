"""The tests of the real engine, by an ordinary user, where the whole run is root's: Apptainer is made for no other."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

import ordinary

REAL = ("test_singularity_steps.py", "test_singularity_run.py", "test_singularity_build.py")

pytestmark = [pytest.mark.needs("apptainer"), pytest.mark.processes]


@pytest.mark.skipif(os.geteuid() != 0, reason="this is an ordinary user: the tests themselves run")
@pytest.mark.parametrize("name", REAL)
def test_real_engine(name):
    here = Path(__file__).parent
    folder = Path(tempfile.mkdtemp(prefix="coopery-test-"))
    user = ordinary.user()
    os.chown(folder, user.pw_uid, user.pw_gid)
    argv = [ordinary.python(), "-m", "pytest", "-q", "--tb=short", f"--basetemp={folder}/t", str(here / name)]
    environ = {**ordinary.environ(), "COOPERY_REQUIRE": "apptainer", "TMPDIR": str(folder)}
    done = subprocess.run(
        ordinary.argv(*argv),
        env=environ,
        cwd=here.parent.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    subprocess.run(["rm", "-rf", folder], check=True)  # rmtree trips over what belongs to subordinate ids
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
