"""A registry's password, used by pushes and pulls that succeed: then the sweep of all that they left and said.

The real program in a process of its own, a real registry that asks for the password. Source: the reliability promise
"secrets leak nowhere".
"""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen
from sweep import Canary, Watch, found

from real_registry import RealRegistry, real_registry

pytestmark = [pytest.mark.needs("registry"), pytest.mark.processes]


@frozen
class Desk:
    """A user who is logged in to a registry."""

    root: Path
    registry: RealRegistry
    canary: Canary

    def log_in(self, way: str) -> None:
        """As ``docker login`` keeps a password: in its file, or with a program that is asked for it."""
        config = self.root / "ada" / ".docker" / "config.json"
        config.parent.mkdir(parents=True)
        if way == "file":
            auth = base64.b64encode(f"ada:{self.canary.text}".encode()).decode()
            config.write_text(json.dumps({"auths": {self.registry.host: {"auth": auth}}}))
            return
        config.write_text(json.dumps({"credHelpers": {self.registry.host: "kept"}}))
        answer = json.dumps({"ServerURL": self.registry.host, "Username": "ada", "Secret": self.canary.text})
        program = self.root / "ada" / "bin" / "docker-credential-kept"
        program.parent.mkdir()
        program.write_text(
            f"#!/bin/sh\ncat > {shlex.quote(str(self.root / 'ada' / 'asked'))}\necho {shlex.quote(answer)}\n"
        )
        program.chmod(0o755)

    def environ(self, home: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("LANG", "PYTHONPATH") if name in os.environ}
        return kept | {
            "PATH": f"{self.root / 'ada' / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.root / "ada"),
            "COOPERY_HOME": str(self.root / home),
            "TMPDIR": str(self.root / "tmp"),
        }

    def run(self, *argv: str, home: str = "home") -> str:
        """The program, to its good end; swept."""
        with Watch(folders=[self.root / "tmp", self.root / home / "staging"]) as watch:
            done = subprocess.run(
                [sys.executable, "-X", "dev", "-m", "coopery", *argv],
                env=self.environ(home),
                cwd=self.root / "work",
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        assert done.returncode == 0, done.stderr
        folders = [self.root / name for name in (home, "tmp", "work") if (self.root / name).exists()]
        texts = {"stdout": done.stdout, "stderr": done.stderr}
        assert found(self.canary, folders=folders, texts=texts, watched=watch) == [], argv
        return done.stdout


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    for name in ("work", "tmp"):
        (tmp_path / name).mkdir()
    canary = Canary.make()
    with real_registry(tmp_path / "registry", login=("ada", canary.text)) as running:
        yield Desk(tmp_path, running, canary)


@pytest.mark.parametrize("way", ["file", pytest.param("helper", marks=pytest.mark.slow)])
def test_pushes_and_pulls_that_succeed_keep_no_password(desk: Desk, way: str) -> None:
    desk.log_in(way)
    assert found(desk.canary, folders=[desk.root / "ada"]), "the sweep sees it where it stands by right"
    work, host = desk.root / "work", desk.registry.host
    (work / "data").write_text("data\n")
    (work / "base.json").write_text(json.dumps({"base": "scratch", "steps": [{"copy": "data", "to": "/data"}]}))
    on_it = {"base": {"image": f"{host}/ours/base:v1"}, "steps": [{"env": {"A": "b"}}]}
    (work / "upon.json").write_text(json.dumps(on_it))

    desk.run("build", "base.json", "--push", f"{host}/ours/base:v1")
    desk.run("build", "upon.json", "--output", "json")
    desk.run("push", "upon.json", f"{host}/ours/upon:v1")
    for argv in (
        ("details", "upon.json", "--output", "json"),
        ("logs", "upon.json"),
        ("plan", "upon.json"),
        ("list", "--output", "json"),
        ("settings", "--output", "json"),
    ):
        desk.run(*argv)
    pulled = desk.run("pull", f"{host}/ours/upon:v1", home="elsewhere")
    assert pulled.strip()
    if way == "helper":
        assert (desk.root / "ada" / "asked").read_text().strip() == host


def test_the_registry_does_ask(desk: Desk) -> None:
    """Without the password, the same push is refused: it was used above."""
    (desk.root / "work" / "base.json").write_text(json.dumps({"base": "scratch", "steps": [{"env": {"A": "b"}}]}))
    argv = [sys.executable, "-m", "coopery", "build", "base.json", "--push", f"{desk.registry.host}/ours/base:v1"]
    done = subprocess.run(
        argv, env=desk.environ("home"), cwd=desk.root / "work", capture_output=True, text=True, check=False
    )
    assert done.returncode == 8
    assert "401" in done.stderr
