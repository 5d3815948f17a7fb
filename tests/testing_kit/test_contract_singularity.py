"""The kit on Apptainer. Root gets an ordinary user for it: see tests/singularity_backend."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import ordinary
from coopery.testing import BackendContract
from coopery_singularity.backend import SingularityBackend

pytestmark = [pytest.mark.slow, pytest.mark.processes, pytest.mark.needs("apptainer")]


if os.geteuid() == 0:

    def test_it_passes_for_an_ordinary_user() -> None:
        user = ordinary.user()
        assert user is not None
        folder = tempfile.mkdtemp(prefix="coopery-test-")
        os.chown(folder, user.pw_uid, user.pw_gid)
        argv = [ordinary.python(), "-m", "pytest", "-q", "--tb=short", f"--basetemp={folder}/t", __file__]
        environ = {**ordinary.environ(), "COOPERY_REQUIRE": "apptainer", "TMPDIR": folder}
        root = Path(__file__).parents[2]
        done = subprocess.run(ordinary.argv(*argv), env=environ, cwd=root, capture_output=True, text=True, check=False)
        subprocess.run(["rm", "-rf", folder], check=True)  # rmtree trips over what belongs to subordinate ids
        assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-2000:]}"

else:

    class TestSingularity(BackendContract):
        runs_as_users = False

        @pytest.fixture
        def open_backend(self):
            return SingularityBackend
