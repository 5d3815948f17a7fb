"""Docker: a daemon of our own, and a Dockerfile as good as one can be written, built by BuildKit.

Packages come from a cache mount, the installer from another image by a bind mount, so that neither is in a layer.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import floor
from contest import Ours, at_once, call, changed, seconds, tidy
from prepared import INSTALLER, PREFIX, REPOSITORY, Case

from real_dockerd import Dockerd

DOCKER_28 = REPOSITORY / "build" / "docker-28"
LOCK = "/pixi.lock"
CLASSIC = "/usr/bin/docker"  # the command line that reaches the BuildKit inside a daemon before 23


def dockerfile(case: Case, *, copied: bool = False) -> str:
    """The rival's text.

    Args:
        case: what it installs.
        copied: the lock becomes a layer: buildah's cache does not notice when a file in a bind mount changes.
    """
    lines = [f"FROM {case.base}"]
    if case.step:
        lines.append(f"RUN {case.step}")
    mounts = [
        f"type=bind,from=bench-installer,source={INSTALLER},target={INSTALLER}",
        "type=cache,target=/var/cache/conda",
    ]
    if copied:
        lines.append(f"COPY lock {LOCK}")
    else:
        mounts.append(f"type=bind,source=lock,target={LOCK}")
    options = " ".join(f"--mount={mount}" for mount in mounts)
    program = f"{INSTALLER}/bin/python {INSTALLER}/install.py {LOCK} /var/cache/conda {PREFIX}"
    lines += [f"RUN {options} {program}", f"ENV PATH={PREFIX}/bin:$PATH CONDA_PREFIX={PREFIX}"]
    return "\n".join(lines) + "\n"


class Rival:
    """``docker build``, with BuildKit."""

    def __init__(self, argv: list[str], env: dict[str, str], folder: Path) -> None:
        self._argv, self._env, self._folder = argv, env, folder
        self._last = ""

    def clear(self) -> None:
        """All that the daemon has, but the installer, which is no part of what is measured."""
        forget(self.program, self._env)

    @property
    def program(self) -> str:
        """The command line."""
        return self._argv[0]

    def context(self, case: Case) -> Path:
        folder = self._folder / f"context-{case.name}"
        folder.mkdir(exist_ok=True)
        (folder / "Dockerfile").write_text(dockerfile(case))
        (folder / "lock").write_bytes(case.lock.read_bytes())
        return folder

    def build(self, case: Case) -> float:
        took = seconds(self._command(case), self._env)
        argv = [self._argv[0], "image", "inspect", "--format", "{{.Id}}", "rival"]
        self._last = changed(self._last, call(*argv, env={**os.environ, **self._env}))
        return took

    def again(self, case: Case) -> float:
        """Seconds of a build in which every step is cached."""
        return at_once(self._command(case), self._env)

    def _command(self, case: Case) -> list[str]:
        return [*self._argv, "--network=host", "-q", "-t", "rival", str(self.context(case))]

    def published(self, case: Case, to: str, built: float) -> float:  # noqa: ARG002 - it was built last
        call(self._argv[0], "tag", "rival", to, env={**os.environ, **self._env})
        return built + seconds([self._argv[0], "push", "-q", to], self._env)


def forget(program: str, env: dict[str, str]) -> None:
    """Every image but the installer, and the build cache."""
    found = call(program, "images", "--format", "{{.Repository}}:{{.Tag}}", env={**os.environ, **env}).split()
    names = [name for name in found if not name.startswith("bench-installer")]
    if names:
        tidy(program, "rmi", "--force", *names, env=env)
    tidy(program, "image", "prune", "--force", env=env)
    tidy(program, "builder", "prune", "--all", "--force", env=env)


@contextmanager
def sides(kind: str, folder: Path, installer: Path) -> Iterator[tuple[Rival, Ours]]:
    """Both sides on a daemon started for them: *kind* is ``docker 20``, ``docker 28`` or ``docker containerd``."""
    options, programs = [], None
    if kind != "docker 20":
        programs = DOCKER_28 / "usr"
        config = folder / "daemon.json"
        config.write_text(json.dumps({"features": {"containerd-snapshotter": kind == "docker containerd"}}))
        options.append(f"--config-file={config}")
    daemon = Dockerd(folder / "dockerd", *options, programs=programs, alone=False)
    (folder / "dockerd").mkdir(parents=True)
    try:
        daemon.start()
        env = {"DOCKER_HOST": daemon.endpoint.host, "PATH": daemon.path}
        if programs:
            argv = [str(programs / "bin" / "docker"), "buildx", "build", "--load"]
            env |= {"DOCKER_CONFIG": str(DOCKER_28 / "config"), "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
        else:
            argv = [CLASSIC, "build"]
            env["DOCKER_BUILDKIT"] = "1"
        tar = folder / "installer.tar"
        call("tar", "-C", installer, "-cf", tar, ".")
        call(argv[0], "import", tar, "bench-installer:latest", env={**os.environ, **env})
        yield Rival(argv, env, folder), Ours("docker", folder, env, lambda: forget(argv[0], env))
    finally:
        daemon.stop()


NO_OP = """
import sys, time, docker
client = docker.from_env()
seconds = []
for _ in range(20):
    started = time.perf_counter()
    client.images.build(path=sys.argv[1], tag="no-op", network_mode="host")
    seconds.append(time.perf_counter() - started)
print(sorted(seconds[1:])[9])
"""

HIT = """
import sys, time
from coopery import Builder, Environment
with Builder(home=sys.argv[1], backend="docker") as builder:
    environment = Environment.load(sys.argv[2])
    builder.build(environment)
    seconds = []
    for _ in range(200):
        started = time.perf_counter()
        builder.build(environment)
        seconds.append(time.perf_counter() - started)
print(sorted(seconds)[100])
"""


IMAGE = """
import sys
from coopery import Builder, Environment
with Builder(home=sys.argv[1], backend="docker") as builder:
    print(builder.build(Environment.load(sys.argv[2])).id)
"""


def imports(rival: Rival, ours: Ours, case: Case) -> dict[str, float]:
    """Seconds that the daemon takes to import what ours made, with nothing of ours around it. Empties the daemon."""
    image = call(sys.executable, "-c", IMAGE, ours.home, case.definition, env={**os.environ, **ours.env}).strip()
    many, one = floor.imports(ours.home, image, rival.program, ours.env, rival.clear)
    return {"its import alone": many, "the same as one layer": one}


def hits(rival: Rival, ours: Ours, case: Case) -> dict[str, tuple[float, float]]:
    """What is built already, asked for again: ours and the rival's, in process and by command."""
    env = {**os.environ, **ours.env}
    folder = ours.folder / "no-op"
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text(f"FROM {case.base}\nCOPY lock /lock\nRUN true\nENV PATH={PREFIX}/bin:$PATH\n")
    (folder / "lock").write_bytes(case.lock.read_bytes())
    inside = float(call(sys.executable, "-c", HIT, ours.home, case.definition, env=env))
    no_op = float(call(sys.executable, "-c", NO_OP, folder, env=env))
    rival.again(case)
    pairs = [(ours.again(case), rival.again(case)) for _ in range(11)]
    by_command = [sorted(values)[5] for values in zip(*pairs, strict=True)]
    return {"hit, in process": (inside, no_op), "hit, by command": (by_command[0], by_command[1])}
