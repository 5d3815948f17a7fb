"""The tools that the forms come from take what is written: rattler, uv, pip, packaging."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from coopery.backend import Workshop
from coopery.blobs import BlobStore
from coopery.definition import Pip
from coopery.digest import of_bytes
from coopery.exchange import Located
from coopery.formats import Outline, write
from coopery.formats.subdirs import SUBDIRS
from coopery.lock import Artifact
from coopery.materializer import Section
from coopery.settings import load
from coopery.target import Facts, Provided, Resolved
from coopery_pip.materializer import PipMaterializer
from formats.samples import SIX, TZDATA, ZLIB, A, B

CHANNEL = "https://conda.anaconda.org/conda-forge"
PACKAGES = (
    Located(
        Artifact("conda", "zlib", "1.3.1", "hb9d3cd8_2", "linux-64", ZLIB.rpartition("/")[2], "conda-forge", A, 92286),
        ZLIB,
        md5="d" * 32,
        depends=("libgcc >=13", "libzlib 1.3.1 hb9d3cd8_2"),
        constrains=("zlib-ng <0",),
    ),
    Located(
        Artifact(
            "conda", "tzdata", "2025b", "h78e105d_0", "noarch", TZDATA.rpartition("/")[2], "conda-forge", B, 122968
        ),
        TZDATA,
    ),
    Located(
        Artifact("pip", "six", "1.17.0", "", "", SIX.rpartition("/")[2], "pypi", A, 11050),
        SIX,
        index="https://index.example.org/simple",
        requires_python=">=2.7, !=3.0.*",
    ),
)

_RATTLER = """
import json, os, sys
from rattler import LockFile
from rattler.rattler import PyExplicitEnvironmentSpec
from pathlib import Path
environment = LockFile.from_path(Path(sys.argv[1])).default_environment()
platform = environment.platforms()[0]
conda = [
    [r.name.normalized, str(r.version), str(r.build), r.subdir, r.url, r.sha256.hex(), r.size, list(r.depends)]
    for r in environment.conda_repodata_records_for_platform(platform)
]
wheels = environment.pypi_packages_for_platform(platform)
pypi = [[p.name, p.version, p.location, p.hashes.sha256.hex()] for p in wheels]
explicit = PyExplicitEnvironmentSpec.from_path(Path(sys.argv[2]))
told = {"platform": platform.name, "channels": [str(c) for c in environment.channels()], "conda": conda, "pypi": pypi}
told["explicit"] = [entry.url() if callable(entry.url) else entry.url for entry in explicit.packages()]
print(json.dumps(told), flush=True)
os._exit(0)  # py-rattler can abort an interpreter that ends in the ordinary way
"""


@pytest.mark.processes
def test_rattler_reads_pixi_locks_and_explicit_lists(tmp_path: Path) -> None:
    outline = Outline("linux/amd64", PACKAGES, (CHANNEL,), ("https://index.example.org/simple",))
    (tmp_path / "pixi.lock").write_bytes(write("pixi", outline))
    (tmp_path / "a.txt").write_bytes(write("explicit", Outline("linux/amd64", PACKAGES[:2])))
    argv = [sys.executable, "-c", _RATTLER, str(tmp_path / "pixi.lock"), str(tmp_path / "a.txt")]
    told = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
    assert (told["platform"], told["channels"]) == ("linux-64", [f"{CHANNEL}/"])
    assert sorted(told["conda"]) == [
        ["tzdata", "2025b", "h78e105d_0", "noarch", TZDATA, B, 122968, []],
        ["zlib", "1.3.1", "hb9d3cd8_2", "linux-64", ZLIB, A, 92286, ["libgcc >=13", "libzlib 1.3.1 hb9d3cd8_2"]],
    ]
    assert told["pypi"] == [["six", "1.17.0", SIX, A]]
    assert told["explicit"] == [f"{TZDATA}#sha256:{B}", f"{ZLIB}#sha256:{A}"]


def test_packaging_reads_pylock() -> None:
    from packaging.pylock import Pylock

    text = write("pylock", Outline("linux/amd64", PACKAGES[2:], python="3.12.4")).decode()
    lock = Pylock.from_dict(tomllib.loads(text))
    assert [(str(one.name), str(one.version), one.index) for one in lock.packages] == [
        ("six", "1.17.0", "https://index.example.org/simple")
    ]
    assert str(lock.requires_python) == "==3.12.*"


def test_subdirs_are_those_of_the_conda_plugin() -> None:
    from coopery_conda.channels import SUBDIRS as CONDA

    assert dict(SUBDIRS) == dict(CONDA)


@pytest.mark.needs("index")
@pytest.mark.processes
def test_uv_and_pip_take_what_is_written(tmp_path: Path) -> None:
    """A real lock from the real index, installed by nobody: both tools say that they would."""
    packages = _resolved(tmp_path, "six==1.17.0", "markupsafe")
    outline = Outline("linux/amd64", packages, python=_PYTHON)
    pylock, hashed = tmp_path / "pylock.toml", tmp_path / "requirements.txt"
    pylock.write_bytes(write("pylock", outline))
    hashed.write_bytes(write("requirements", outline))
    uv, target = find_uv_bin(), ["--dry-run", "--target", str(tmp_path / "target")]
    newest = [
        uv,
        "run",
        "--no-project",
        "--no-config",
        "--with",
        "pip>=26",
        "python",
        "-m",
        "pip",
        "install",
        "--no-deps",
    ]
    told = [
        _run(uv, "pip", "install", "--python", sys.executable, *target, "-r", str(pylock), home=tmp_path),
        _run(*newest, *target, "-r", str(pylock), home=tmp_path),
        _run(sys.executable, "-m", "pip", "install", "--require-hashes", *target, "-r", str(hashed), home=tmp_path),
    ]
    for text in told:
        for one in packages:
            assert re.search(rf"{one.artifact.name}(==|-){re.escape(one.artifact.version)}", text.lower()), text


_PYTHON = ".".join(map(str, sys.version_info[:3]))


def _resolved(folder: Path, *requirements: str) -> tuple[Located, ...]:
    home = folder / "home"
    shop = Workshop(home, home / "staging", BlobStore(home / "blobs", home / "staging"), load(), _none, print)
    materializer, section = PipMaterializer(shop), Section(Pip(requirements))
    target = Resolved("linux/amd64", "/opt/env", of_bytes(b""), Facts(), glibc="2.28", archspec="x86_64")
    found = materializer.resolve(section, target, Provided(python=_PYTHON)).artifacts
    return materializer.describe(section, found)


def _none(name: str) -> Any:
    raise AssertionError(f"no base source {name} is asked for")


def _run(*argv: str, home: Path) -> str:
    environ = {**os.environ, "UV_CACHE_DIR": str(home / "uv"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(argv, capture_output=True, text=True, env=environ, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr
