"""Each backend that works here builds every sample that it has the abilities for, once in a session, when asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from attrs import frozen

import ordinary
import parts
from conformance.desk import SAMPLES, World, lay_out
from coopery.plugins import Plugins

BACKENDS = {"oci": "chroot", "docker": "docker", "podman": "podman", "singularity": "apptainer"}
"""Backend → the part of tests/parts.py that it needs."""

ASKED = {
    "steps": {"run", "network"},
    "secrets": {"run", "secrets"},
    "dockerfile": {"dockerfile"},
}
"""Sample → abilities that it asks for."""

NAMES = tuple(sorted(folder.name for folder in SAMPLES.iterdir()))

Found = dict[str, dict[str, Any]]


@cache
def able(backend: str) -> tuple[str, ...]:
    """Names of the samples that *backend* says it can build."""
    abilities = Plugins().backend(backend).abilities
    return tuple(name for name in NAMES if all(getattr(abilities, asked) for asked in ASKED.get(name, ())))


@frozen
class Session:
    """Where everything of this session is, and what has been built."""

    folder: Path
    world: World
    found: dict[str, Found]

    def of(self, backend: str, name: str) -> dict[str, Any]:
        """What *backend* made of the sample *name*."""
        found = self.found.setdefault(backend, {})
        if name not in found:
            home = "home-ordinary" if is_alone(backend) else "home"
            found |= self.drive(backend, home, backend, [name])
        return found[name]

    def drive(self, backend: str, home: str, out: str, names: Iterable[str], *, keep: bool = False) -> Found:
        """Build and run samples in a process of its own, by somebody for whom *backend* works.

        All of one user may share a cache folder; records are in the folder *out*, and *out* is used by nobody else.
        """
        given = {
            "backend": backend,
            "home": str(self.folder / home),
            "samples": str(self.world.samples),
            "channels": self.world.channels,
            "index": self.world.index,
            "names": list(names),
            "out": str(self.folder / out),
            "keep": keep,
        }
        command = [str(Path(__file__).with_name("driver.py")), json.dumps(given)]
        argv, environ = [sys.executable, *command], {**os.environ}
        if is_alone(backend):
            argv, environ = ordinary.argv(ordinary.python(), *command), ordinary.environ()
            for name in (out, home):
                self.give_away(self.folder / name)
        done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False, cwd="/")
        assert done.returncode == 0, done.stderr[-3000:]
        found: Found = json.loads((self.folder / out / "found.json").read_text(encoding="utf-8"))
        return found

    def give_away(self, folder: Path) -> None:
        """Make *folder* the ordinary user's, with all that is in it."""
        user = ordinary.user()
        assert user is not None
        folder.mkdir(mode=0o700, exist_ok=True)
        for path in (folder, *folder.iterdir()):
            os.chown(path, user.pw_uid, user.pw_gid)


def is_alone(backend: str) -> bool:
    """Whether *backend* must be another user's, who shares no folder with us."""
    return backend == "singularity" and os.geteuid() == 0


@pytest.fixture(scope="session")
def session() -> Iterator[Session]:
    """A folder that every user can enter."""
    with tempfile.TemporaryDirectory(prefix="coopery-conformance-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield Session(folder, lay_out(folder), {})
        subprocess.run(["rm", "-rf", name], check=False)  # rmtree trips over what belongs to subordinate ids


@pytest.fixture
def built(session: Session) -> Callable[[str, str], dict[str, Any]]:
    """What a backend made of a sample; skips where it has not the abilities."""

    def get(backend: str, name: str) -> dict[str, Any]:
        if name not in able(backend):
            pytest.skip(f"{backend} does not declare what {name} asks for")
        made = session.of(backend, name)
        assert "error" not in made, made["error"]
        return made

    return get


def works(backend: str) -> bool:
    """Whether *backend* can be tried here."""
    return backend in Plugins().backends() and parts.why_not(BACKENDS[backend]) is None
