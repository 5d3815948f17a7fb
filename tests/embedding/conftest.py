"""Copies of the examples to run, as a stranger would; a Dask cluster and a Slurm of this machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from waiting import until

import parts

EXAMPLES = parts.REPOSITORY / "examples" / "embedding"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The examples, and nothing else."""
    return Path(shutil.copytree(EXAMPLES, tmp_path / "examples"))


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Variables of a user whose cache folder is new."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COOPERY", "DASK", "SLURM"))}
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config"), "COOPERY_HOME": str(tmp_path / "home")}
    return {**kept, **home, "PATH": programs}


@pytest.fixture
def run(folder: Path, environ: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a program in the folder of examples."""

    def start(*argv: object, **more: str) -> subprocess.CompletedProcess[str]:
        words = [str(word) for word in argv]
        env = {**environ, **more}
        return subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)

    return start


class Cluster:
    """A Dask scheduler and workers of one thread, each a process of its own, on loopback."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._environ = environ
        self._processes: list[subprocess.Popen[bytes]] = []
        found = folder / "scheduler.json"
        self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(found))
        until(found.is_file)
        self.file = found

    def worker(self, **environ: str) -> subprocess.Popen[bytes]:
        """One more worker, with variables of its own."""
        options = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1", "--death-timeout", "60"]
        number = str(len(self._processes))
        local = ["--local-directory", str(self._folder / f"dask-{number}"), "--name", number]
        return self._start("worker", "--scheduler-file", str(self.file), *options, *local, **environ)

    def _start(self, *words: str, **environ: str) -> subprocess.Popen[bytes]:
        program = [sys.executable, "-W", "ignore", "-m", f"distributed.cli.dask_{words[0]}", *words[1:]]
        with (self._folder / f"{words[0]}-{len(self._processes)}.log").open("wb") as log:
            env = {**self._environ, **environ}
            self._processes.append(subprocess.Popen(program, cwd=self._folder, env=env, stdout=log, stderr=log))
        return self._processes[-1]

    def end(self) -> None:
        for process in reversed(self._processes):
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path, environ: dict[str, str]) -> Iterator[Cluster]:
    made = Cluster(tmp_path, environ)
    yield made
    made.end()


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[str]:
    """The configuration file of a Slurm that runs."""
    folder = tmp_path / "slurm"
    try:
        started = subprocess.run(
            [parts.REPOSITORY / "scripts" / "start-slurm", folder], capture_output=True, text=True, check=False
        )
        assert started.returncode == 0, started.stderr
        yield started.stdout.strip().removeprefix("SLURM_CONF=")
    finally:
        for name in ("slurmd", "slurmctld", "munged"):
            with suppress(FileNotFoundError, ProcessLookupError, ValueError):
                os.kill(int((folder / f"{name}.pid").read_text()), signal.SIGTERM)
