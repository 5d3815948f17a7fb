"""One ``run:`` step: a container on the snapshot, its output as it comes, its changes as a layer. Nothing stays."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from coopery.errors import BackendError
from coopery.snapshots import running as _running
from coopery.snapshots.changes import IndirectError
from coopery_docker import export, owner
from coopery_docker.answers import Refused
from coopery_docker.endpoint import NAME
from coopery_docker.network import network
from coopery_docker.stage import Stage, sweep_containers

if TYPE_CHECKING:
    from coopery.backend import Snapshot, Workshop
    from coopery.layer import Layer
    from coopery.sealed import SealedStep
    from coopery.snapshots.running import Running, Transcript
    from coopery_docker.client import Daemon

TIMED_OUT: Final = 124
"""The status of a step that was ended because it took too long: that of ``timeout``."""

_NOT_STARTED: Final = (126, 127)
"""What the daemon notes of a container whose program is none, or is not there."""


def run_step(workshop: Workshop, daemon: Daemon, stage: Stage, base: Snapshot, step: SealedStep) -> Snapshot:
    """*base* after the ``run:`` step *step*.

    Raises:
        StepFailed: another status than 0, or it took too long.
        BackendError: the daemon failed.
    """
    sweep_containers(daemon)
    with _running.prepared(workshop, base, step) as running:
        image = stage.load(base)
        with _container(daemon, str(image), running) as name:
            transcript = _running.Transcript(workshop)
            with workshop.cancel.calling(lambda: _kill(daemon, name)):
                status = _execute(daemon, name, running, transcript)
            workshop.cancel.check()
            if status:
                raise _running.failed(NAME, running, status, transcript)
            layer = _changes(workshop, daemon, name)
    return _running.after(base, step, layer)


@contextmanager
def _container(daemon: Daemon, image: str, running: Running) -> Iterator[str]:
    """A container for *running*, taken away at the end, whatever that is."""
    with owner.named() as name:
        try:
            daemon.create(name, _config(daemon, image, running))
            if not daemon.endpoint.socket and running.mounts:
                daemon.put(name, _sent(running))
            yield name
        except BaseException:
            with suppress(BackendError):  # what went wrong is more telling
                daemon.remove(name)
            raise
        daemon.remove(name)


def _config(daemon: Daemon, image: str, running: Running) -> Mapping[str, Any]:
    """The body of the request. Source: Docker Engine API 1.41, ContainerCreate."""
    mounts = [
        {"Type": "bind", "Source": str(source), "Target": target, "ReadOnly": True} for source, target in running.mounts
    ]
    return {
        "Image": image,
        "Entrypoint": list(running.argv),
        "Cmd": [],
        "Env": [f"{name}={value}" for name, value in running.env.items()],
        "WorkingDir": running.workdir,
        "User": running.user,
        "Labels": {owner.LABEL: owner.own()},
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": {
            "NetworkMode": network(daemon, running.env) if running.network else "none",
            "Mounts": mounts if daemon.endpoint.socket else [],
            "LogConfig": {"Type": "none"},  # we read it all; a gigabyte of it need not be kept by the daemon too
        },
    }


def _sent(running: Running) -> bytes:
    """The mounts as a tar, for a daemon on another machine. They lie where no layer ever takes anything from.

    Raises:
        BackendError: secrets are among them: they would be written to that machine's disk.
    """
    import io
    import tarfile

    if any(target == _running.SECRETS for _, target in running.mounts):
        raise BackendError(
            NAME,
            f"{running.field_path}.secrets: a daemon on another machine would write secrets to its disk",
            remedy="build on a daemon of this machine",
        )
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for source, target in running.mounts:
            tar.add(source, target.lstrip("/"))
    return out.getvalue()


def _execute(daemon: Daemon, name: str, running: Running, transcript: Transcript) -> int:
    """Start it and read what it prints until it ends; its status."""
    late = threading.Event()

    def end() -> None:
        late.set()
        _kill(daemon, name)

    timer = threading.Timer(running.seconds, end)
    timer.daemon = True
    try:
        with daemon.attached(name) as output:
            status = _start(daemon, name, transcript)
            if status:
                return status
            if running.seconds:
                timer.start()
            for stream, data in output:
                transcript.feed(data, stream)
            status = daemon.wait(name)
    finally:
        timer.cancel()
    if late.is_set():
        transcript.feed(f"\n(ended: it took longer than {running.seconds:g} s)\n".encode())
        status = TIMED_OUT
    transcript.close()
    return status


def _kill(daemon: Daemon, name: str) -> None:
    with suppress(BackendError):
        daemon.kill(name)


def _start(daemon: Daemon, name: str, transcript: Transcript) -> int:
    """Start it; 0, or the status of a program that is none, or is not there."""
    try:
        daemon.start(name)
    except Refused as exc:
        status = int((daemon.container(name).get("State") or {}).get("ExitCode") or 0)
        if status not in _NOT_STARTED:
            raise
        transcript.feed(exc.message.encode())
        transcript.close()
        return status
    return 0


def _changes(workshop: Workshop, daemon: Daemon, name: str) -> Layer:
    """What the container changed: from its upper folder where we can read that, else from the daemon's own account."""
    upper = _upper(daemon, name)
    if upper is not None:
        try:
            return _running.take(workshop, upper)
        except IndirectError:
            pass  # the folder is no change set by itself: this daemon's kernel uses redirects
    return export.take(workshop, daemon, name)


def _upper(daemon: Daemon, name: str) -> Path | None:
    """The container's upper folder, where it is on this machine, we may read it, and its owners are the image's."""
    if not daemon.endpoint.socket or sys.platform != "linux" or os.geteuid() != 0:
        return None
    options = " ".join(map(str, daemon.info.get("SecurityOptions") or ()))
    if "name=userns" in options or "name=rootless" in options:
        return None
    driver = daemon.container(name).get("GraphDriver") or {}
    found = (driver.get("Data") or {}).get("UpperDir") if driver.get("Name") == "overlay2" else None
    return Path(found) if found and os.path.isdir(found) else None
