"""As an ordinary user: owners in a layer are the image's, and a step ends whole."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import ordinary

pytestmark = [pytest.mark.needs("buildah", "podman-run"), pytest.mark.processes]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of that user's, with room for its run-time files."""
    if (reason := ordinary.why_not()) is not None:
        pytest.skip(reason)
    user = ordinary.user()
    assert user is not None
    made = Path(tempfile.mkdtemp(prefix="coopery-rootless-"))
    (made / "runtime").mkdir(mode=0o700)
    if os.geteuid() == 0:
        for path in (made, made / "runtime"):
            os.chown(path, user.pw_uid, user.pw_gid)
    yield made
    closed = ordinary.argv("buildah", "unshare", "--", "rm", "-rf", str(made / "rootless_storage_path"))
    subprocess.run(closed, env=environ(made), cwd="/", check=False, capture_output=True)
    shutil.rmtree(made, ignore_errors=True)


def environ(folder: Path) -> dict[str, str]:
    told = {"XDG_RUNTIME_DIR": str(folder / "runtime"), "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf")}
    return {**ordinary.environ(), **told}


def test_an_ordinary_user(folder: Path) -> None:
    child = str(Path(__file__).with_name("rootless_child.py"))
    argv = ordinary.argv(ordinary.python(), child, str(folder))
    done = subprocess.run(argv, env=environ(folder), cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said, found = done.stdout.strip().rsplit("\n", 1)
    answer = json.loads(found)
    assert answer["uid"] != 0
    assert answer["said"][:2] == ["0", "0:0"]
    assert answer["members"]["made"] == [1000, 1001, 0o755]
    assert sorted(answer["members"]) == ["home", "home/.wh.app", "made"]
    assert (answer["ended"], answer["there"], answer["status"], said.strip()) == (124, "yes", 5, "1000:1001")
    assert answer["left"] == []
    assert "as an ordinary user" in answer["examined"]
    assert subprocess.run(["pgrep", "-f", "sleep 4246"], capture_output=True, check=False).stdout == b""
