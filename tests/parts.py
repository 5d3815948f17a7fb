"""The real parts that tests use, and how each is tried: by working, not by being installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from attrs import frozen

REPOSITORY = Path(__file__).parent.parent


@frozen
class Part:
    """One real part: ``tried`` says how in words; ``why_not`` is None where it works, else the reason."""

    name: str
    tried: str
    why_not: Callable[[], str | None]


def _command(*argv: str, program: str = "") -> Callable[[], str | None]:
    def why_not() -> str | None:
        if shutil.which(argv[0]) is None:
            return f"{program or argv[0]} is not installed"
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode == 0:
            return None
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return lines[-1][:120]

    return why_not


def _mirror() -> str | None:
    try:
        from coopery_debian.mirror import reachable
    except ImportError as exc:
        return str(exc)
    return reachable()


def _channel() -> str | None:
    """The channel is made by `make channel`, once; tests do not make it behind each other's back."""
    made = REPOSITORY / "build" / "channel" / "noarch" / "repodata.json"
    return None if made.is_file() else "not made: run `make channel`"


def _index() -> str | None:
    """Whether the Python package index that pip is configured for answers."""
    argv = [sys.executable, "-m", "pip", "--disable-pip-version-check", "index", "versions", "six"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no answer"])[-1][:120]


def _second_python() -> str | None:
    return None if second_python() else "no other Python than the one that runs the tests has Coopery's libraries"


@cache
def second_python() -> str | None:
    """An interpreter of another minor version in ``.venv-second``, which `make setup` fills where there is one."""
    found = REPOSITORY / ".venv-second" / "bin" / "python"
    if not found.is_file():
        return None
    done = subprocess.run([found, "-c", "import coopery, attrs, zstandard"], capture_output=True, check=False)
    return str(found) if done.returncode == 0 else None


def _unprivileged() -> str | None:
    if os.geteuid() != 0:
        return None
    return None if shutil.which("setpriv") else "setpriv is not installed"


PARTS = {
    part.name: part
    for part in (
        Part("engine-free", "coopery itself", lambda: None),
        Part("namespaces", "unshare --user --map-root-user true", _command("unshare", "-Ur", "true")),
        Part("chroot", "chroot / true", _command("chroot", "/", "true")),
        Part("debian", "InRelease fetched from apt's own mirror", _mirror),
        Part("gpgv", "gpgv --version", _command("gpgv", "--version")),
        Part("channel", "build/channel, made from real wheels", _channel),
        Part("skopeo", "skopeo --version", _command("skopeo", "--version")),
        Part("umoci", "umoci --version", _command("umoci", "--version")),
        Part("registry", "docker-registry --version", _command("docker-registry", "--version")),
        Part("index", "pip download of one small wheel's page", _index),
        Part("podman", "podman --runtime runc info", _command("podman", "--runtime", "runc", "info")),
        Part("second-python", ".venv-second/bin/python", _second_python),
        Part("ordinary-user", "setpriv, or not being root", _unprivileged),
    )
}


@cache
def why_not(name: str) -> str | None:
    """None when the part called *name* works here, else why not."""
    return PARTS[name].why_not()


def required() -> frozenset[str]:
    """Parts whose absence is a failure: ``COOPERY_REQUIRE``, names by comma, or ``all``."""
    names = os.environ.get("COOPERY_REQUIRE", "")
    return frozenset(PARTS) if names == "all" else frozenset(name for name in names.split(",") if name)


if __name__ == "__main__":
    for part in PARTS.values():
        sys.stdout.write(f"{part.name:16}{why_not(part.name) or 'works'}\n")
