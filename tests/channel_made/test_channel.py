"""The channel that tests/channel makes: its index is sound, and a plain install of it by rattler works."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.channel

INSTALL = """
import asyncio, json, os, sys
from rattler import BuildString, Channel, GenericVirtualPackage, MatchSpec, PackageName, Version, install, solve

def virtual(name, version):
    return GenericVirtualPackage(PackageName(name), Version(version), BuildString("0"))

async def main(channel, prefix, specs, stated, subdir):
    records = await solve(
        [Channel(channel)], [MatchSpec(spec) for spec in specs], platforms=[subdir, "noarch"],
        virtual_packages=[virtual(*pair) for pair in stated],
    )
    if prefix:
        await install(records, prefix, cache_dir=prefix + ".cache", show_progress=False)
    print(json.dumps(sorted(f"{r.name.normalized} {r.version} {r.build}" for r in records)), flush=True)

asyncio.run(main(*json.loads(sys.argv[1])))
os._exit(0)  # py-rattler may abort when the interpreter ends
"""
SPECS = ["matplotlib", "pandas", "pip", "pyyaml", "requests", "scikit-learn", "setuptools", "tqdm", "wheel"]


def solved(channel: Path, specs: list[str], prefix: str = "", subdir: str = "linux-64", **stated: str) -> list[str]:
    virtual = [
        (f"__{name}", version) for name, version in {"glibc": "2.36", "unix": "0", "linux": "5.10", **stated}.items()
    ]
    argument = json.dumps([channel.as_uri(), prefix, specs, virtual, subdir])
    done = subprocess.run([sys.executable, "-c", INSTALL, argument], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines: list[str] = json.loads(done.stdout)
    return lines


def records(channel: Path, subdir: str) -> dict[str, Any]:
    document = json.loads((channel / subdir / "repodata.json").read_text(encoding="utf-8"))
    packages: dict[str, Any] = document["packages.conda"]
    return packages


@pytest.fixture(scope="module")
def prefix(science_channel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of it, installed as rattler installs."""
    folder = tmp_path_factory.mktemp("plain") / "env"
    assert len(solved(science_channel, SPECS, str(folder))) >= 38
    return folder


def run(prefix: Path, *argv: str) -> str:
    environment = {"PATH": "/nonexistent", "HOME": str(prefix.parent)}
    done = subprocess.run(
        [prefix / "bin" / argv[0], *argv[1:]], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("subdir", ["linux-64", "linux-aarch64", "noarch"])
def test_index(science_channel: Path, subdir: str) -> None:
    packages = records(science_channel, subdir)
    assert {path.name for path in (science_channel / subdir).glob("*.conda")} == packages.keys()
    for name, record in packages.items():
        data = (science_channel / subdir / name).read_bytes()
        assert (record["sha256"], record["size"]) == (hashlib.sha256(data).hexdigest(), len(data))
        assert record["subdir"] == subdir
        with zipfile.ZipFile(science_channel / subdir / name) as archive:
            assert len(archive.namelist()) == 3


def test_python_and_its_libraries(prefix: Path) -> None:
    modules = "ssl, sqlite3, ctypes, lzma, bz2, zlib, readline, curses, uuid, crypt, hashlib, decimal, pyexpat"
    program = f"import {modules}, sys, site; print(sys.prefix, site.getsitepackages()[-1]); hashlib.new('sha512')"
    site_packages = prefix / "lib/python3.11/site-packages"
    assert run(prefix, "python", "-I", "-c", program) == f"{prefix} {site_packages}"


def test_libraries_come_from_the_prefix(prefix: Path) -> None:
    program = "import ssl, sqlite3, readline; print(open('/proc/self/maps').read())"
    maps = run(prefix, "python", "-I", "-c", program)
    for library in (
        "libssl.so.3",
        "libcrypto.so.3",
        "libsqlite3.so.0",
        "libreadline.so.8",
        "libz.so.1",
        "libexpat.so.1",
    ):
        found = {line.split()[-1] for line in maps.splitlines() if library in line}
        assert found, library
        assert all(path.startswith(f"{prefix}/lib/") for path in found), found


def test_the_prefix_is_replaced_in_text_and_in_programs(prefix: Path) -> None:
    assert b"_placehold" not in (prefix / "bin/python3.11").read_bytes()
    assert f":{prefix}/lib\0".encode() in (prefix / "bin/python3.11").read_bytes()
    program = "from importlib import import_module as load; print(load(NAME).build_time_vars['prefix'])"
    program = program.replace("NAME", "'_sysconfigdata__x86_64-linux-gnu'")
    assert run(prefix, "python", "-I", "-c", program) == str(prefix)
    assert (prefix / "bin/f2py").read_text(encoding="utf-8").startswith(f"#!{prefix}/bin/python3.11\n")


def test_science(prefix: Path) -> None:
    program = (
        "import numpy, scipy.linalg, pandas, matplotlib.pyplot, PIL.Image, yaml, requests\n"
        "from sklearn.datasets import load_iris\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "x, y = load_iris(return_X_y=True)\n"
        "print(LogisticRegression(max_iter=500).fit(x, y).score(x, y) > 0.9, pandas.DataFrame({'a': [1, 2]}).a.sum())\n"
    )
    assert run(prefix, "python", "-I", "-W", "ignore", "-c", program) == "True 3"


def test_pip_sees_every_distribution(prefix: Path) -> None:
    assert run(prefix, "pip", "check", "--disable-pip-version-check") == "No broken requirements found."


def test_size(prefix: Path) -> None:
    size = sum(path.lstat().st_size for path in prefix.rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert 350e6 < size < 550e6, f"{size / 1e6:.0f} MB"


def test_one_version_can_be_exchanged_alone(science_channel: Path) -> None:
    newest = solved(science_channel, SPECS)
    for pin, gone in (("threadpoolctl=3.4.0", "threadpoolctl 3.5.0 py_0"), ("numpy=1.26.4", "numpy 2.0.2 py311_0")):
        pinned = solved(science_channel, [*SPECS, pin])
        assert set(newest) - set(pinned) == {gone}
        assert len(set(pinned) - set(newest)) == 1


def test_the_target_decides_on_the_accelerator(science_channel: Path) -> None:
    assert "accelerator 1.0 cpu_0" in solved(science_channel, ["accelerator"])
    assert "accelerator 1.0 cuda124_0" in solved(science_channel, ["accelerator"], cuda="12.4")
    assert "accelerator 1.0 cpu_0" in solved(science_channel, ["accelerator"], cuda="12.3")


def test_another_machine(science_channel: Path) -> None:
    found = solved(science_channel, ["python", "python-dateutil", "joblib"], subdir="linux-aarch64")
    assert any(line.startswith("python 3.11") for line in found)


def test_an_older_c_library_is_not_enough(science_channel: Path) -> None:
    with pytest.raises(AssertionError, match="__glibc"):
        solved(science_channel, ["python"], glibc="2.31")
