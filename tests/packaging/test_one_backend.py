"""The core and one backend, in a fresh environment, are enough to build a conda environment and to run it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

import ordinary
from conformance.desk import base

REPOSITORY = Path(__file__).parents[2]
DEFINITION = """\
base: {{rootfs: base.tar}}
conda:
  channels: ["{channel}"]
  dependencies: [python=3.11, six]
build: {{bytecode: false}}
"""

BACKENDS = {"oci": "chroot", "docker": "docker", "podman": "podman", "singularity": "apptainer"}
"""Backend → the part of tests/parts.py that it needs."""

pytestmark = [pytest.mark.slow, pytest.mark.channel]


@pytest.mark.parametrize(
    "backend", [pytest.param(name, marks=pytest.mark.needs(part)) for name, part in BACKENDS.items()]
)
def test_core_and_one_backend_build_and_run(backend: str, open_folder: Path, dist: Path) -> None:
    bin_folder = _environment(open_folder / f"venv-{backend}", dist, "coopery-core", f"coopery-{backend}")
    work = _work(open_folder / f"work-{backend}")
    listed = json.loads(_coopery(bin_folder, work, "plugins", "--output", "json"))
    installed = {one["distribution"].partition(" ")[0] for one in listed["plugins"]}
    others = {f"coopery-{one}" for one in BACKENDS if one != backend}
    assert {f"coopery-{backend}", "coopery-conda", "coopery-pip"} <= installed
    assert not installed & others
    built = json.loads(_coopery(bin_folder, work, "build", "environment.yaml", "--output", "json"))
    said = _coopery(
        bin_folder, work, "run", "environment.yaml", "--", "python", "-c", "import six; print(six.__name__)"
    )
    assert said == "six\n"
    assert built["images"][0]["interpreter"] == "/opt/env/bin/python3.11"


def _environment(folder: Path, dist: Path, *names: str) -> Path:
    """A fresh virtual environment, on a Python that an ordinary user can start; *dist* has what is ours."""
    subprocess.run([ordinary.python(), "-m", "venv", folder], check=True, env=_clean(os.environ))
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-compile", "--find-links", str(dist)]
    subprocess.run([*pip, *names], check=True, capture_output=True, env=_clean(os.environ))
    return folder / "bin"


def _work(folder: Path) -> Path:
    folder.mkdir()
    (folder / "base.tar").write_bytes(base())
    channel = (REPOSITORY / "build" / "channel").as_uri()
    (folder / "environment.yaml").write_text(DEFINITION.format(channel=channel))
    user = ordinary.user()
    if user is not None and os.geteuid() == 0:
        os.chown(folder, user.pw_uid, user.pw_gid)
    return folder


def _coopery(bin_folder: Path, work: Path, *words: str) -> str:
    """What the program prints: by an ordinary user where the backend is Apptainer's, which is for them."""
    backend = bin_folder.parent.name.removeprefix("venv-")
    command = [str(bin_folder / "coopery"), *words]
    environ: Mapping[str, str] = os.environ
    if backend == "singularity":
        command, environ = ordinary.argv(*command), ordinary.environ()
    given = {
        "COOPERY_HOME": str(work / "home"),
        "COOPERY_BACKEND": backend,
        "PATH": f"{bin_folder}:{environ['PATH']}",
    }
    done = subprocess.run(
        command, capture_output=True, text=True, env={**_clean(environ), **given}, cwd=work, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _clean(environ: Mapping[str, str]) -> dict[str, str]:
    """*environ* without what would show this checkout to a fresh environment."""
    return {name: value for name, value in environ.items() if not name.startswith(("PYTHON", "COOPERY_"))}
