"""Running a process in an image, by the docker command line: it does terminals, their size and signals right.

The image is named by its digest and the program by one argument, so that nothing that begins with ``-`` is taken for an
option. Variables go through a file in memory: a command line can be read by every user of the machine.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from coopery import driver
from coopery.errors import BackendError, NotFound, UsageError
from coopery.foreground import foreground
from coopery_docker import owner
from coopery_docker.activation import activated
from coopery_docker.endpoint import NAME

if TYPE_CHECKING:
    from coopery.place import RunRequest
    from coopery_docker.client import Daemon


def run(daemon: Daemon, image: str, request: RunRequest) -> int:
    """Run a process in *image*, an id that *daemon* knows, with this terminal's streams.

    Returns:
        Its exit status; 128 + n when signal n ended it; 127 or 126 when it is not there or no program.

    Raises:
        NotFound, UnsupportedError, UsageError, BackendError: see `coopery_docker.place.DockerPlace.run`.
    """
    program = shutil.which("docker")
    if program is None:
        raise BackendError(
            NAME, "running needs the docker command line", remedy="install docker-cli; building does without it"
        )
    found = daemon.image(image)
    if found is None:
        raise NotFound(f"{daemon.endpoint.place}: no image {image}", remedy="build its definition again")
    gpu = gpu_options(daemon) if request.gpu else ()
    variables, spelled = _variables(request.env)
    handle = os.memfd_create("coopery-run")
    try:
        os.write(handle, variables)
        os.set_inheritable(handle, True)
        argv = activated(daemon, found, tuple(request.argv))
        options = (*_options(daemon, request, argv), f"--env-file=/dev/fd/{handle}", *spelled, *gpu)
        with owner.named() as name:
            return foreground((program, "run", f"--name={name}", *options, image, *argv[1:]), NAME)
    finally:
        os.close(handle)


def _options(daemon: Daemon, request: RunRequest, argv: tuple[str, ...]) -> tuple[str, ...]:
    """Options of ``docker run``. One process in the container besides the program: it passes signals on to it."""
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    return (
        "--rm",
        "--interactive",
        f"--label={owner.LABEL}={owner.own()}",
        *(("--tty",) if terminal else ()),
        *(("--init",) if _has_init(daemon) else ()),
        *(f"--mount={_mount(source, target, request.read_only)}" for source, target in request.mounts),
        *((f"--workdir={request.workdir}",) if request.workdir else ()),
        *((f"--user={request.user}",) if request.user else ()),
        *((f"--entrypoint={argv[0]}",) if argv else ()),
    )


def _has_init(daemon: Daemon) -> bool:
    """Whether the daemon can put an init into the container; without one a program ignores most signals."""
    name = str(daemon.info.get("InitBinary") or "")
    return bool(name) and (not daemon.endpoint.socket or shutil.which(name) is not None)


def _mount(source: Path, target: str, read_only: Collection[str]) -> str:
    """One line of CSV, as the option has it: a path may have a comma in it."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(
        ["type=bind", f"source={source}", f"target={target}", *(["readonly"] if target in read_only else [])]
    )
    return line.getvalue()


def _variables(env: Mapping[str, str]) -> tuple[bytes, tuple[str, ...]]:
    """Lines for a file; and, for values of several lines, which such a file cannot hold, options.

    Raises:
        UsageError: a name that no variable has.
    """
    lines, spelled = [], []
    for name, value in env.items():
        if not name or name.startswith("#") or any(char in "=\0" or char.isspace() for char in name) or "\0" in value:
            raise UsageError(f"{name!r} is no name of a variable that Docker can set")
        if "\n" in value or "\r" in value:
            spelled.append(f"--env={name}={value}")
        else:
            lines.append(f"{name}={value}\n")
    return "".join(lines).encode(errors="surrogateescape"), tuple(spelled)


def gpu_options(daemon: Daemon) -> tuple[str, ...]:
    """How to ask *daemon* for all GPUs.

    Raises:
        UnsupportedError: its machine has no driver, or it cannot pass GPUs on; in plain words.
    """
    local = bool(daemon.endpoint.socket)
    if local:
        driver.demand(NAME)
    if local and daemon.info.get("CDISpecDirs") and driver.has_cdi():
        return (f"--device={driver.DEVICES}",)
    hook = any(shutil.which(name) for name in ("nvidia-container-runtime-hook", "nvidia-container-toolkit"))
    if local and not hook and "nvidia" not in (daemon.info.get("Runtimes") or {}):
        problem = "the driver is there, but Docker cannot pass GPUs on"
        raise driver.refusal(NAME, problem, "install nvidia-container-toolkit")
    return ("--gpus=all",)
