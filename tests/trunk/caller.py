"""Who types ``coopery``: this user or an ordinary one, with any umask, variables and Python."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from subprocess import PIPE
from typing import Any

from attrs import frozen

NOBODY = 65534
OURS = ("coopery", *sorted({entry.value.partition(".")[0] for entry in metadata.entry_points(group="coopery")}))
THEIRS = ("attr", "attrs", "click", "pluggy", "rattler", "ruamel", "typing_extensions", "zstandard")


@frozen
class Caller:
    """Starts the real program.

    Attributes:
        python: interpreter.
        environ: its variables, all of them.
        user: id of another user, or None for this one.
    """

    python: str = sys.executable
    environ: Mapping[str, str] = dict(os.environ)
    user: int | None = None

    def start(self, *args: object, environ: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
        """``coopery ARGS`` with variables on top of the usual ones; streams are pipes unless given."""
        users: dict[str, Any] = {} if self.user is None else {"user": self.user, "group": self.user}
        if users:
            users["extra_groups"] = []
        streams = {"stdin": subprocess.DEVNULL, "stdout": PIPE, "stderr": PIPE}
        command = [self.python, "-m", "coopery", *map(str, args)]
        environment = {**self.environ, **(environ or {})}
        return subprocess.Popen(command, env=environment, text=True, **{**streams, **users, **options})

    def __call__(self, *args: object, **options: Any) -> subprocess.CompletedProcess[str]:
        """As `start`, to the end; *input* is given to it."""
        given = options.pop("input", None)
        if given is not None:
            options["stdin"] = PIPE
        with self.start(*args, **options) as running:
            out, err = running.communicate(given, timeout=300)
        return subprocess.CompletedProcess(list(map(str, args)), running.returncode, out, err)

    def build(self, file: Path, **options: Any) -> dict[str, Any]:
        """The image of the definition in *file*, as its JSON document has it."""
        done = self("build", file, "--output", "json", "--quiet", **options)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)["images"][0]
        return found


@contextmanager
def ordinary() -> Iterator[tuple[Caller, Path]]:
    """An ordinary user, ``nobody`` where the tests are run by root, and a folder of theirs."""
    folder = Path(tempfile.mkdtemp(prefix="coopery-ordinary-"))
    try:
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
            yield _nobody(), folder
        else:
            yield Caller(), folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def give(folder: Path, caller: Caller) -> None:
    """Make *folder* and all in it *caller*'s."""
    if caller.user is not None:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, caller.user, caller.user, follow_symlinks=False)


def _nobody() -> Caller:
    """``nobody`` with a Python that they may start, which is not always ours: that may live in root's own folder."""
    environ = {name: value for name, value in os.environ.items() if name not in ("HOME", "PYTHONPATH")}
    tried: list[str] = []
    for python in (sys.executable, "/usr/bin/python3"):
        for path in (_here, _copied):
            caller = Caller(python, {**environ, "HOME": "/nonexistent", "PYTHONPATH": path()}, NOBODY)
            program = "import coopery_conda.rattler, coopery_oci.run, coopery.cli.root, zstandard, ruamel.yaml"
            if _reaches(caller, program, tried):
                return caller
    raise AssertionError("no Python that an ordinary user may start has what Coopery needs:\n" + "\n".join(tried))


def _reaches(caller: Caller, program: str, tried: list[str]) -> bool:
    command = [caller.python, "-B", "-c", program]
    users: dict[str, Any] = {"user": caller.user, "group": caller.user, "extra_groups": []}
    try:
        done = subprocess.run(
            command, env=caller.environ, cwd="/", capture_output=True, text=True, check=False, **users
        )
    except PermissionError as exc:
        tried.append(str(exc))
        return False
    tried.append(f"{caller.python}: {done.stderr}")
    return done.returncode == 0


def _here() -> str:
    return os.pathsep.join(dict.fromkeys(str(_package(name).parent) for name in (*OURS, *THEIRS)))


@cache
def _copied() -> str:
    """Copies where everybody may read: the checkout and its environment may be closed to others."""
    folder = tempfile.mkdtemp(prefix="coopery-open-")
    os.chmod(folder, 0o755)  # noqa: S103 - what everybody may read is the point
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for path in (*map(_package, (*OURS, *THEIRS)), *map(_about, OURS)):
        if path.is_dir():
            shutil.copytree(path, Path(folder, path.name), ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, folder)
    return folder


def _package(name: str) -> Path:
    spec = find_spec(name)
    assert spec is not None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(str(spec.origin))


def _about(name: str) -> Path:
    """What is installed about a distribution: its plugins are found there."""
    distribution = metadata.distribution("coopery-core" if name == "coopery" else name.replace("_", "-"))
    folder = f"{distribution.name.replace('-', '_')}-{distribution.version}.dist-info"
    return Path(str(distribution.locate_file(folder)))
