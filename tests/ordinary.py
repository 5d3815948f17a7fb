"""Starting Python as an ordinary user with subordinate ids, where the tests are run by root: what Apptainer is for."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

NAME = "coopery-test"
"""Made by scripts/install-engines; any other user with subordinate ids will do."""

_PROBE = "import attrs, coopery, hypothesis, pytest, zstandard"


def user() -> pwd.struct_passwd | None:
    """Who it is: ourselves, where we are not root; None where there is nobody."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    try:
        lines = Path("/etc/subuid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    names = sorted((line.split(":")[0] for line in lines), key=lambda name: name != NAME)
    for name in names:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        if found.pw_uid != 0:
            return found
    return None


def environ() -> dict[str, str]:
    """For a child: its home, our packages, the programs of build/apptainer."""
    found = user()
    base = os.path.realpath(sys.base_prefix)
    ours = [path for path in sys.path if path and not os.path.realpath(path).startswith(f"{base}/")]
    programs = Path(__file__).parent.parent / "build" / "apptainer" / "usr" / "bin"
    return {
        "HOME": found.pw_dir if found else "/",
        "PATH": f"{os.environ.get('PATH', os.defpath)}:{programs}:/usr/sbin",
        "PYTHONPATH": os.pathsep.join(ours),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LC_ALL": "C.UTF-8",
    }


def argv(*words: str) -> list[str]:
    """*words*, to be started as that user."""
    found = user()
    if os.geteuid() != 0 or found is None:
        return list(words)
    # setpriv itself still has root's rights when it looks for the program; the shell has not.
    change = ["setpriv", f"--reuid={found.pw_uid}", f"--regid={found.pw_gid}", "--init-groups", "--"]
    return [*change, "/bin/sh", "-c", 'exec "$@"', "sh", *words]


def python() -> str:
    """An interpreter that this user can start with our packages; empty where there is none."""
    return next((path for path in _pythons() if _starts(path)), "")


def why_not() -> str | None:
    """Why no Python can be started as an ordinary user; None where one can."""
    if user() is None:
        return "no ordinary user has subordinate ids (scripts/install-engines makes one)"
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        return "setpriv is not installed"
    return None if python() else "no Python of this version with our packages is open to an ordinary user"


def _pythons() -> list[str]:
    return [sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"]


@cache
def _starts(path: str) -> bool:
    try:
        done = subprocess.run(argv(path, "-c", _PROBE), env=environ(), cwd="/", capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0
