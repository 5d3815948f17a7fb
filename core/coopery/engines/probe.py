"""Asking programs on this machine small questions: within seconds, with no terminal and no shell."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import Final

SECONDS: Final = 10.0


def first_line(argv: Sequence[str]) -> str:
    """The first line that a program prints; empty where it is absent, fails or does not answer in time."""
    answer = tried(argv)
    return answer[1].strip().splitlines()[0][:200] if answer[0] and answer[1].strip() else ""


def tried(argv: Sequence[str]) -> tuple[bool, str]:
    """Whether *argv* ended with status 0, and what it printed; what went wrong where it did not."""
    program = shutil.which(argv[0])
    if program is None:
        return False, f"{argv[0]} is not installed"
    try:
        done = subprocess.run(
            (program, *argv[1:]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        return False, f"{argv[0]} did not answer in {SECONDS:.0f} s"
    except OSError as exc:
        return False, f"{argv[0]} cannot be run: {exc.strerror}"
    text = (done.stdout or done.stderr).decode("utf-8", "replace")
    if done.returncode == 0:
        return True, text
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return False, lines[-1][:200] if lines else f"{argv[0]} exited with {done.returncode}"
