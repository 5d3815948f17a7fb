"""Trying a daemon: a program of a hundred bytes is loaded, run and taken away again. That says more than a version."""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from coopery.backend import Examination, Snapshot
from coopery.errors import BackendError, CooperyError
from coopery.image import encode
from coopery.layer import Entry, Tree
from coopery.layers.cut import cut_into
from coopery_docker import builders, owner
from coopery_docker.answers import Refused, Unreachable
from coopery_docker.client import Daemon
from coopery_docker.stage import Stage, sweep_containers

if TYPE_CHECKING:
    from coopery.backend import Workshop

_STATUS: Final = 42
_ENTRY: Final = 0x400078
_CODE: Final[dict[str, tuple[int, bytes]]] = {
    "amd64": (62, bytes.fromhex("b83c000000bf2a0000000f05")),  # mov eax, 60; mov edi, 42; syscall
    "arm64": (183, bytes.fromhex("a80b8052400580d2010000d4")),  # mov w8, 93; mov x0, 42; svc 0
}
"""Architecture → ELF's number for it, and a program that ends with status 42."""


def examine(workshop: Workshop, daemon: Daemon) -> Examination:
    """See `coopery.backend.Backend.examine`."""
    try:
        details = _details(daemon)
        problem = _try(workshop, daemon)
    except Unreachable as exc:
        found = not daemon.endpoint.socket or os.path.exists(daemon.endpoint.socket)
        return Examination(found=found, works=False, problem=exc.message, remedy=exc.remedy)
    except CooperyError as exc:
        return Examination(found=True, works=False, version=_version(daemon), problem=exc.message, remedy=exc.remedy)
    remedy = "look into the daemon's log: journalctl -u docker" if problem else ""
    return Examination(True, not problem, daemon.version, details, problem, remedy)


def _version(daemon: Daemon) -> str:
    with suppress(BackendError):
        return daemon.version
    return ""


def _details(daemon: Daemon) -> tuple[str, ...]:
    info = daemon.info
    store = "containerd's image store" if daemon.by_manifest else "classic image store"
    builder = builders.buildkit()
    return (
        f"{daemon.endpoint.host}, by {daemon.endpoint.origin}",
        f"{info.get('Driver')}, {store}, cgroup v{info.get('CgroupVersion') or 1}",
        f"Dockerfiles by {builder.words if builder else 'the classic builder: no build secrets'}",
    )


def _try(workshop: Workshop, daemon: Daemon) -> str:
    """What is wrong; empty where a program runs."""
    code = _CODE.get(daemon.architecture)
    if code is None:
        return ""
    sweep_containers(daemon)
    stage = Stage(workshop, daemon)
    with owner.named() as name:
        return _outcome(workshop, daemon, stage, name, code)


def _outcome(workshop: Workshop, daemon: Daemon, stage: Stage, name: str, code: tuple[int, bytes]) -> str:
    try:
        image = stage.load(_snapshot(workshop, daemon.architecture, _program(*code)))
        labels = {owner.LABEL: owner.own()}
        body: dict[str, Any] = {"Image": image, "Entrypoint": ["/probe"], "Labels": labels}
        daemon.create(name, {**body, "HostConfig": {"NetworkMode": "none"}})
        daemon.start(name)
        status = daemon.wait(name)
    except Refused as exc:
        return exc.message
    finally:
        with suppress(BackendError):
            daemon.remove(name)
        stage.release()
    return "" if status == _STATUS else f"a program that should end with status {_STATUS} ended with {status}"


def _snapshot(workshop: Workshop, architecture: str, program: bytes) -> Snapshot:
    entry = Entry("probe", mode=0o755, source=program, size=len(program))
    layer, _ = cut_into(workshop.blobs, [Tree("probe", "probe", (), lambda: ["probe"], lambda: [entry])])
    rootfs = {"type": "layers", "diff_ids": [layer.diff_id]}
    config = encode({"architecture": architecture, "os": "linux", "config": {}, "rootfs": rootfs})
    return Snapshot("docker", layer.diff_id, layer.diff_id, config, (layer,))


def _program(machine: int, code: bytes) -> bytes:
    """A static ELF program. Source: System V ABI, "Object Files"."""
    size = 120 + len(code)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    head = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, _ENTRY, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _ENTRY - 120, _ENTRY - 120, size, size, 0x1000)
    return ident + head + segment + code
