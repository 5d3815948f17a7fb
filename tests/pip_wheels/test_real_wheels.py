"""Real wheels: file by file what `installer` makes of them, and what pip makes but for what is stated here."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

from coopery.target import Provided
from pip_wheels.conftest import Desk, data, plain
from pip_wheels.wheels import artifact

pytestmark = [pytest.mark.needs("index"), pytest.mark.processes]

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
PROVIDED = Provided(f"{MINOR}.1", sys.executable, f"/opt/env/lib/python{MINOR}/site-packages")
"""The interpreter of those who install, so that their scripts can be compared."""

WHEELS = ("requests==2.32.3", "jinja2==3.1.6", "jupyter_core==5.9.1", "jupyterlab_widgets==3.0.15", "greenlet==3.2.2")
"""Plain; with extras; with commands; with data files; with headers and compiled modules."""

OURS_ALONE = ("REQUESTED", "direct_url.json", "INSTALLER")
"""Metadata in which installers differ; see docs/decisions/0011."""


@frozen
class Seen:
    mode: int
    content: bytes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("wheels")
    argv = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "-d", str(made)]
    subprocess.run([*argv, "--disable-pip-version-check", *WHEELS], check=True)
    return made


def ours(desk: Desk, wheel: Path) -> dict[str, Seen]:
    name, version = wheel.name.split("-")[:2]
    [one] = desk.trees((artifact(wheel, name, version), wheel), provided=PROVIDED, target=plain())
    return {entry.path: Seen(entry.mode, data(entry)) for entry in one.entries()}


def below(root: Path) -> dict[str, Seen]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): Seen(path.stat().st_mode & 0o777, path.read_bytes()) for path in files}


def without(found: dict[str, Seen]) -> dict[str, Seen | frozenset[str]]:
    """Without what is stated to differ; of RECORD, its lines."""
    kept = {path: one for path, one in found.items() if not path.endswith(OURS_ALONE)}
    return {path: _lines(one) if path.endswith("/RECORD") else one for path, one in kept.items()}


def _lines(record: Seen) -> frozenset[str]:
    rows = csv.reader(io.StringIO(record.content.decode()))
    return frozenset(",".join(row) for row in rows if not row[0].endswith(OURS_ALONE))


def each(folder: Path) -> Iterator[Path]:
    found = sorted(folder.glob("*.whl"))
    assert len(found) == len(WHEELS)
    yield from found


def test_each_is_what_installer_makes(desk: Desk, folder: Path, tmp_path: Path) -> None:
    for wheel in each(folder):
        root = tmp_path / wheel.stem
        argv = [sys.executable, "-m", "installer", "--destdir", str(root), "--prefix", "/opt/env"]
        subprocess.run([*argv, "--no-compile-bytecode", str(wheel)], check=True, capture_output=True, umask=0o022)
        assert without(ours(desk, wheel)) == without(below(root)), wheel.name


def test_each_is_what_pip_makes(desk: Desk, folder: Path, tmp_path: Path) -> None:
    """But for quotes in the scripts that both make, and headers: pip, in a venv, has a folder of its own for them."""
    for wheel in each(folder):
        root = tmp_path / wheel.stem
        argv = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-index",
            "--no-deps",
            "--no-compile",
            "--root-user-action",
        ]
        argv += ["ignore", "--no-warn-script-location", "--ignore-installed", "--disable-pip-version-check"]
        subprocess.run([*argv, "--root", str(root), "--prefix", "/opt/env", str(wheel)], check=True, umask=0o022)
        theirs = {path.replace("include/site/", "include/"): one for path, one in below(root).items()}
        mine = ours(desk, wheel)
        assert {path for path in mine if not path.endswith(OURS_ALONE)} == {
            path for path in theirs if not path.endswith(OURS_ALONE)
        }
        for path, one in mine.items():
            if path.startswith("opt/env/bin/"):
                assert theirs[path] == Seen(one.mode, one.content.replace(b'"', b"'")), path
            elif not path.endswith((*OURS_ALONE, "/RECORD")):
                assert theirs[path] == one, path
