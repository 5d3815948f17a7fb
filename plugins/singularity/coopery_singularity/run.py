"""Running a process in a SIF, or on a snapshot, with this process's own streams."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from coopery import driver
from coopery.errors import UnsupportedError, UsageError
from coopery.folders import scratch
from coopery.foreground import foreground
from coopery.image import variables
from coopery.oci.layers_view import LayersFiles
from coopery_singularity import apptainer, metadata
from coopery_singularity.apptainer import NAME, Call, Mount
from coopery_singularity.lowers import lowers
from coopery_singularity.steps import overlay

if TYPE_CHECKING:
    from coopery.backend import Snapshot, Workshop
    from coopery.place import RunRequest
    from coopery_singularity.metadata import Entry
    from coopery_singularity.place import Note

_ROOT: Final = ("root", "0", "root:root", "0:0")
_LAUNCH_FAILED: Final = 255


def run(workshop: Workshop, path: Path, note: Note, request: RunRequest) -> int:
    """Run *request* in the SIF at *path*, as the user who runs it.

    The image cannot be written; /tmp, /var/tmp and the home folder are private and go with the run.

    Raises:
        UnsupportedError: another user; no driver for a GPU.
        UsageError: a mount that is not there, or no command.
        BackendError: no Apptainer.
    """
    entry = metadata.Entry(note.shell, note.sourced, note.cwd, note.command)
    with scratch(workshop.staging, "run") as folder:
        call = _call((path,), entry, request, workdir=folder, fakeroot=_as_root(request))
        return _start(call, request, {})


def run_snapshot(workshop: Workshop, snapshot: Snapshot, request: RunRequest) -> int:
    """Run *request* on *snapshot* as a step would be run, but with a terminal; what it writes is gone with it.

    Raises:
        UnsupportedError, UsageError, BackendError: as `run`.
    """
    config: dict[str, Any] = json.loads(snapshot.config)
    entry = metadata.entry_of(LayersFiles(snapshot.layers, workshop.blobs), config)
    with overlay(workshop) as folder:
        call = _call(lowers(workshop, snapshot.layers), entry, request, overlay=folder, fakeroot=os.geteuid() != 0)
        return _start(call, request, variables(config))


def _call(images: tuple[Path, ...], entry: Entry, request: RunRequest, **how: Any) -> Call:
    words = tuple(request.argv) or entry.command
    if not words or not words[0]:
        raise UsageError("the image has no command of its own", remedy="say what to run: … -- python train.py")
    _check_user(request)
    if request.gpu:
        driver.demand(NAME)
    return Call(
        images,
        entry.argv(words),
        cwd=request.workdir or entry.cwd or "/",
        mounts=tuple(_mount(source, target, target in request.read_only) for source, target in request.mounts),
        gpu=request.gpu,
        **how,
    )


def _start(call: Call, request: RunRequest, env: dict[str, str]) -> int:
    program = apptainer.program()
    environment = apptainer.environment(program, {**env, **request.env})
    return foreground(apptainer.argv(program, call), NAME, environment)


def _mount(source: Path, target: str, read_only: bool) -> Mount:
    real = os.path.realpath(source)
    if not os.path.exists(real):
        raise UsageError(f"cannot mount {source}: nothing is there")
    if not target.startswith("/") or not target.strip("/"):
        raise UsageError(f"cannot mount {source} at {target!r}: expected an absolute path that is not /")
    return Mount(Path(real), target, read_only=read_only)


def _as_root(request: RunRequest) -> bool:
    return request.user in _ROOT and os.geteuid() != 0


def _check_user(request: RunRequest) -> None:
    mine = (str(os.geteuid()), f"{os.geteuid()}:{os.getegid()}")
    if request.user and request.user not in (*_ROOT, *mine):
        raise UnsupportedError(
            NAME,
            "run as another user",
            f"run --user {request.user}",
            remedy="Apptainer runs as you, or as root of a user namespace: leave the user out, say root, or use docker",
        )
