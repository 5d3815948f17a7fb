"""What an OCI runtime still knows of a container whose step was killed with its build: a state folder and cgroups.

The processes are gone already (`coopery_podman.guard`). Which states are ours is seen by their bundles, which lie in a
folder named after the working container. Source: runc-list(8), crun(1).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_RUNTIMES: Final = ("runc", "crun")
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,255}")
_SECONDS: Final = 30


def forget(scratch: Path) -> None:
    """Have every runtime that is installed forget containers whose bundles lie below *scratch*. Best effort."""
    for runtime in filter(shutil.which, _RUNTIMES):
        for container in _below(runtime, scratch):
            _output(runtime, "delete", "--force", container)


def _below(runtime: str, scratch: Path) -> Iterator[str]:
    with suppress(ValueError, TypeError, LookupError):  # another runtime's form
        for state in json.loads(_output(runtime, "list", "--format", "json") or "[]") or []:
            bundle, name = str(state["bundle"]), str(state["id"])
            if bundle.startswith(f"{os.path.abspath(scratch)}/") and _ID.fullmatch(name):
                yield name


def _output(*argv: str) -> str:
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
