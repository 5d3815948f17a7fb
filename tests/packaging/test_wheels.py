"""Every distribution builds, carries its licence and its types, and works when installed into a fresh environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

DISTRIBUTIONS = {
    "coopery": None,
    "coopery_core": "coopery",
    "coopery_oci": "coopery_oci",
    "coopery_conda": "coopery_conda",
    "coopery_pip": "coopery_pip",
    "coopery_debian": "coopery_debian",
    "coopery_redis": "coopery_redis",
    "coopery_docker": "coopery_docker",
    "coopery_podman": "coopery_podman",
    "coopery_singularity": "coopery_singularity",
}

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_wheel_and_sdist_carry_licence_types_and_metadata(dist: Path, name: str) -> None:
    (wheel,) = dist.glob(f"{name}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert any(entry.endswith("licenses/LICENSE") for entry in names)
        metadata = archive.read(next(entry for entry in names if entry.endswith("METADATA"))).decode()
        package = DISTRIBUTIONS[name]
        assert package is None or f"{package}/py.typed" in names
        assert not [entry for entry in names if "tests/" in entry or "__pycache__" in entry]
    assert "License-Expression: Apache-2.0" in metadata
    assert "Requires-Python: >=3.11" in metadata
    (sdist,) = dist.glob(f"{name}-*.tar.gz")
    with tarfile.open(sdist) as archive:
        files = [entry.name for entry in archive]
    assert any(entry.endswith("/LICENSE") for entry in files)
    assert any(entry.endswith("/README.md") for entry in files)


def environment(folder: Path, dist: Path, *names: str) -> Path:
    """A fresh virtual environment with *names* from *dist*; what they depend on comes as pip is configured here."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--find-links", dist]
    subprocess.run([*pip, *names], check=True, capture_output=True)
    return folder / "bin"


def coopery(bin_folder: Path, *argv: object, home: Path) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "COOPERY_HOME": str(home), "PATH": f"{bin_folder}:{os.environ['PATH']}"}
    variables.pop("PYTHONPATH", None)
    return subprocess.run(
        [bin_folder / "coopery", *map(str, argv)], capture_output=True, text=True, env=variables, check=False
    )


@pytest.fixture(scope="module")
def definition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("definition")
    (folder / "hello.txt").write_text("hello\n")
    path = folder / "environment.yaml"
    path.write_text("base: scratch\nsteps:\n  - {copy: hello.txt, to: /hello.txt}\n  - {workdir: /}\n")
    return path


def test_everything_installed_builds(dist: Path, definition: Path, tmp_path: Path) -> None:
    bin_folder = environment(tmp_path / "venv", dist, "coopery")
    listed = coopery(bin_folder, "plugins", "--output", "json", home=tmp_path / "home")
    assert listed.returncode == 0, listed.stderr
    assert {"oci", "conda", "debian"} <= {plugin["name"] for plugin in json.loads(listed.stdout)["plugins"]}
    built = coopery(bin_folder, "build", definition, "--output", "json", home=tmp_path / "home")
    assert built.returncode == 0, built.stderr


def test_core_alone_answers_key_and_says_what_build_needs(dist: Path, definition: Path, tmp_path: Path) -> None:
    bin_folder = environment(tmp_path / "venv", dist, "coopery-core")
    key = coopery(bin_folder, "key", definition, home=tmp_path / "home")
    assert key.returncode == 0, key.stderr
    assert len(key.stdout.split()[0]) == 64
    refused = coopery(bin_folder, "build", definition, home=tmp_path / "home")
    assert refused.returncode == 3
    assert "pip install coopery-oci" in refused.stderr
