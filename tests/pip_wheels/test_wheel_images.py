"""Wheels in real images, which run: beside conda's Python, and in a venv on the Python of a Debian base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from pip_wheels.wheels import make
from trunk import science
from trunk.caller import Caller
from trunk.shared_home import shared_home

pytestmark = [pytest.mark.needs("debian", "namespaces"), pytest.mark.processes, pytest.mark.slow]

POINTS = "[console_scripts]\nsample = sample:main\n"
CODE = """
import sys, json
import six
def main():
    with open(__cached__, "rb") as file:
        flags = file.read(8)[4]
    print(json.dumps([sys.prefix, sys.argv[0], flags, six.WHO, sys.flags.no_user_site]))
"""
MINIMAL = ("base-files", "bash", "coreutils", "libpython3.11-stdlib", "python3-minimal", "python3.11-minimal")


@frozen
class Scene:
    """A user whose index is a folder with one wheel, which has a `six` of its own too."""

    folder: Path
    environ: dict[str, str]

    def define(self, packages: tuple[str, ...], **more: Any) -> Path:
        path = self.folder / "environment.json"
        base = {"debian": {"suite": "bookworm", "packages": list(packages)}}
        path.write_text(json.dumps({"base": base, "pip": ["sample"], **more}))
        return path

    def run(self, file: Path, *argv: str) -> str:
        done = Caller()("run", "--quiet", file, "--", *argv, environ=self.environ)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    page = tmp_path / "simple" / "sample"
    page.mkdir(parents=True)
    files = {"sample.py": CODE, "six.py": "WHO = 'the wheel'\n"}
    artifact, path = make(page, files, name="sample", entry_points=POINTS)
    (page / "index.html").write_text(f'<a href="{path.name}#sha256={artifact.sha256}">{path.name}</a>')
    return Scene(tmp_path, {"COOPERY_HOME": str(shared_home()), "COOPERY_INDEX_URL": page.parent.as_uri()})


def test_on_the_python_of_a_debian_base(scene: Scene) -> None:
    file = scene.define(MINIMAL)
    assert scene.run(file, "sample") == '["/opt/env", "/opt/env/bin/sample", 1, "the wheel", 1]'
    show = "import sys; print(sys.executable, sys.base_prefix, sys.path[-1])"
    assert scene.run(file, "python3", "-c", show) == ("/opt/env/bin/python3 /usr /opt/env/lib/python3.11/site-packages")
    assert Caller().build(file, environ=scene.environ)["interpreter"] == "/opt/env/bin/python"


@pytest.mark.needs("channel")
def test_beside_condas_python(scene: Scene) -> None:
    """Of a path that both have, pip's is in the image, as where ``pip install`` follows ``conda create``."""
    conda = {"channels": [str(science.CHANNEL)], "dependencies": ["python=3.11", "six"]}
    file = scene.define(science.PACKAGES, conda=conda)
    assert scene.run(file, "sample") == '["/opt/env", "/opt/env/bin/sample", 1, "the wheel", 1]'
    assert scene.run(file, "head", "-1", "/opt/env/bin/sample") == "#!/opt/env/bin/python3.11"
