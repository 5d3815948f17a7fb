"""Real users of one group, and one who is not in it: known to the machine for as long as one program of theirs runs.

Each program is started in a mount namespace in which /etc/passwd and /etc/group are the test's own, so that nothing of
the machine is changed.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from conda.maker import Channel, File
from moving.test_offline import program
from trunk import small
from trunk.caller import Caller, ordinary

GROUP, GID = "coopery-ml", 64100
UIDS = {"ada": 64101, "bob": 64102, "eve": 64103, "root": 0}
_ENTER = 'mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/group" /etc/group && shift && exec "$@"'


@frozen
class Team:
    """A group's cache folder, and definitions that its members build.

    Attributes:
        caller: whose Python and variables they start.
        folder: where everybody may look.
        home: the group's cache folder; made by ada.
    """

    caller: Caller
    folder: Path
    home: Path

    def start(self, name: str, *argv: object, umask: int = 0o022) -> list[str]:
        """The command line that has *name* start *argv*."""
        change: list[str] = []
        if UIDS[name]:
            change = ["setpriv", f"--reuid={UIDS[name]}", f"--regid={UIDS[name]}", "--init-groups", "--"]
        shell = ["sh", "-c", f'umask {umask:03o}; exec "$@"', "sh"]
        return [
            "unshare",
            "--mount",
            "sh",
            "-c",
            _ENTER,
            "sh",
            str(self.folder / "etc"),
            *change,
            *shell,
            *map(str, argv),
        ]

    def does(self, name: str, *argv: object, umask: int = 0o022) -> subprocess.CompletedProcess[str]:
        """What came of *name* starting *argv*."""
        command = self.start(name, *argv, umask=umask)
        environ = {**self.caller.environ, "COOPERY_HOME": str(self.home), "HOME": str(self.folder / name)}
        return subprocess.run(command, env=environ, cwd="/", capture_output=True, text=True, check=False)

    def coopery(self, name: str, *args: object, umask: int = 0o022) -> subprocess.CompletedProcess[str]:
        """``coopery ARGS`` by *name*."""
        return self.does(name, self.caller.python, "-m", "coopery", *args, umask=umask)

    def build(self, name: str, what: str, *options: str, umask: int = 0o022) -> dict[str, Any]:
        """The image of the definition *what*, as *name* gets it."""
        done = self.coopery(name, "build", self.file(what), "--output", "json", *options, umask=umask)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)["images"][0]
        return found

    def file(self, what: str) -> Path:
        """The definition called *what*."""
        return self.folder / f"{what}.json"


@pytest.fixture(scope="module")
def world() -> Iterator[Team]:
    """Users, a channel and definitions; no cache folder yet."""
    with ordinary() as (caller, folder):
        if caller.user is not None:
            os.chown(folder, 0, 0)
        folder.chmod(0o755)
        channel = small.fill(Channel(folder / "channel"))
        channel.add("answer", {"bin/answer": File(program(), 0o755), "etc/secret": File(b"of the group", 0o640)})
        for name, dependencies in (("first", "tool answer"), ("second", "tool answer old"), ("third", "old")):
            small.write(folder, *dependencies.split(), name=f"{name}.json")
        (folder / "etc").mkdir()
        people = {**UIDS, "nobody": 65534}
        lines = [f"{name}:x:{uid}:{uid}::{folder / name}:/bin/sh" for name, uid in people.items()]
        (folder / "etc" / "passwd").write_text("\n".join(lines) + "\n")
        (folder / "etc" / "group").write_text(f"root:x:0:\n{GROUP}:x:{GID}:ada,bob\n")
        for name, uid in UIDS.items():
            (folder / name).mkdir(mode=0o700)
            os.chown(folder / name, uid, uid)
        yield Team(caller, folder, folder / "none")


@pytest.fixture
def team(world: Team, request: pytest.FixtureRequest) -> Team:
    """A group's cache folder of the test's own, made by ada with the narrowest umask."""
    number = len(list(world.folder.glob("shared-*")))
    above = world.folder / f"shared-{number}"
    above.mkdir()
    os.chown(above, UIDS["ada"], UIDS["ada"])
    made = Team(world.caller, world.folder, above / "coopery")
    done = made.coopery("ada", "cache", "init", "--group", GROUP, made.home, umask=0o077)
    assert done.returncode == 0, done.stderr
    return made
