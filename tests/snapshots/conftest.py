"""A real overlay mount, and the parts that a backend is lent."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import frozen

from coopery.backend import Workshop
from coopery.events import Event
from coopery.home import Home
from coopery.settings import Settings
from coopery.testing.backend.desk import no_source

OPTIONS = "redirect_dir=off,metacopy=off,index=off"


@frozen
class Overlay:
    """What an overlay mount left behind: ``lower`` as it was, ``upper`` the changes, ``merged`` what was seen."""

    lower: Path
    upper: Path
    merged: Path


def mounted(folder: Path, script: str, options: str = OPTIONS) -> Overlay:
    """Run *script* at the root of an overlay over ``folder/lower``, in a mount namespace of its own."""
    for name in ("lower", "upper", "work", "root"):
        (folder / name).mkdir(exist_ok=True)
    options = f"lowerdir=lower,upperdir=upper,workdir=work,{options}"
    lines = ["set -e", f"mount -t overlay overlay -o {options} root", "cd root", script, "cd ..", "cp -a root merged"]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", "\n".join(lines)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return Overlay(folder / "lower", folder / "upper", folder / "merged")


@pytest.fixture
def overlay(tmp_path: Path) -> Callable[..., Overlay]:
    """As `mounted`, over a small tree."""
    folder = tmp_path / "overlay"
    lower = folder / "lower"
    (lower / "etc" / "deep").mkdir(parents=True)
    for name in ("a", "b", "deep/c", "deep/d"):
        (lower / "etc" / name).write_text(f"{name} of the base\n")
    os.link(lower / "etc" / "a", lower / "etc" / "a-again")
    (lower / "link").symlink_to("etc/a")

    def run(script: str, options: str = OPTIONS) -> Overlay:
        return mounted(folder, script, options)

    return run


def seen(top: Path) -> dict[str, tuple[object, ...]]:
    """Everything below *top*: kind, mode, owner, and content, target or nothing."""
    found: dict[str, tuple[object, ...]] = {}
    for parent, folders, files in os.walk(top):
        for name in (*folders, *files):
            path = Path(parent, name)
            info = path.lstat()
            content: object = b""
            if path.is_symlink():
                content = os.readlink(path)
            elif stat.S_ISREG(info.st_mode):
                content = path.read_bytes()
            mode = 0 if path.is_symlink() else stat.S_IMODE(info.st_mode)
            found[str(path.relative_to(top))] = (stat.S_IFMT(info.st_mode), mode, info.st_uid, info.st_gid, content)
    return found


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def workshop(tmp_path: Path, events: list[Event]) -> Workshop:
    home = Home(tmp_path / "home")
    home.make()
    return Workshop(home.root, home.staging, home.blobs, Settings(home=home.root), no_source, events.append)


def emptied(folder: Path) -> Path:
    """*folder*, new and empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
