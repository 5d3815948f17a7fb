"""Who builds Dockerfiles: BuildKit where a command line here reaches it, else the daemon's classic builder.

Found by asking each ``docker`` on PATH: one with the buildx plugin, or one from before 23, which has BuildKit itself.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from attrs import frozen

_SECONDS: Final = 20


@frozen
class Builder:
    """One way to reach BuildKit.

    Attributes:
        words: what people are told.
        argv: what the options of a build are put behind.
        env: variables to set for it.
    """

    words: str
    argv: tuple[str, ...]
    env: Mapping[str, str]


def buildkit() -> Builder | None:
    """How BuildKit can be reached; None where it cannot. Some ten milliseconds for each ``docker`` on PATH."""
    programs = tuple(_programs())
    for program in programs:
        told = _ask(program, "buildx", "version")
        if told is not None:
            version = next((word for word in told.split() if word.lstrip("v")[:1].isdigit()), "")
            env = {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
            return Builder(f"BuildKit (docker buildx {version})".strip(), (program, "buildx", "build", "--load"), env)
    for program in programs:
        told = _ask(program, "version", "--format", "{{.Client.Version}}") or ""
        major = told.partition(".")[0].strip()
        if major.isdecimal() and 19 <= int(major) < 23:
            return Builder(f"BuildKit (docker {told.strip()})", (program, "build"), {"DOCKER_BUILDKIT": "1"})
    return None


def _programs() -> Iterator[str]:
    """Every ``docker`` on PATH, each file once."""
    seen = set()
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = Path(folder) / "docker"
        if path.is_file() and os.access(path, os.X_OK) and (real := os.path.realpath(path)) not in seen:
            seen.add(real)
            yield str(path)


def _ask(*argv: str) -> str | None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_SECONDS, check=False, errors="replace")
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
