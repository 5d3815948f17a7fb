"""Trying the engine: an image of one tiny program, made as every image is made, and run."""

from __future__ import annotations

import os
import re
import struct
from collections import deque
from typing import TYPE_CHECKING, Final

from coopery import platform as _platform
from coopery.backend import Examination
from coopery.errors import BackendError, CooperyError
from coopery.folders import scratch
from coopery.oci.flatten import Added
from coopery_singularity import apptainer, child, namespace
from coopery_singularity.apptainer import Call, Program
from coopery_singularity.metadata import MOUNT_POINTS
from coopery_singularity.squash import squash

if TYPE_CHECKING:
    from pathlib import Path

    from coopery.backend import Workshop

_SECONDS: Final = 20.0
_COLOR: Final = re.compile(r"\x1b\[[0-9;]*m")  # Apptainer's first process colors whatever it is told
_CODE: Final = {
    "linux/amd64": (62, bytes.fromhex("31ff b83c000000 0f05")),  # xor edi, edi; mov eax, 60; syscall: exit(0)
    "linux/arm64": (183, bytes.fromhex("000080d2 a80b80d2 010000d4")),  # mov x0, 0; mov x8, 93; svc 0
}
_FAKEROOT_REMEDY: Final = "as an ordinary user: subordinate ids (usermod --add-subuids), /dev/fuse, fuse-overlayfs"
_ROOT_REMEDY: Final = (
    "run Coopery as an ordinary user; as root, Apptainer needs every capability, which a container rarely has"
)
_PLAIN_REMEDY: Final = (
    "allow user namespaces, make /dev/fuse readable and writable by all, install squashfuse; or a setuid Apptainer"
)


def examine(workshop: Workshop) -> Examination:
    """What is there and whether it works. Never raises for what is absent or broken."""
    try:
        found = apptainer.find()
    except BackendError as exc:
        return Examination(found=False, works=False, problem=exc.message, remedy=exc.remedy)
    if found is None:
        return Examination(
            found=False, works=False, problem="neither apptainer nor singularity is on PATH", remedy="install apptainer"
        )
    try:
        version = apptainer.version(found)
        with scratch(workshop.staging, "examine") as folder:
            return _tried(workshop, found, version, folder)
    except CooperyError as exc:
        return Examination(found=True, works=False, problem=exc.message, remedy=exc.remedy)


def _tried(workshop: Workshop, found: Program, version: str, folder: Path) -> Examination:
    image = folder / "try.sqfs"
    squash((), workshop.blobs, image, added=[*MOUNT_POINTS, Added("true", mode=0o755, content=_program())])
    problem = _attempt(found, Call((image,), ("/true",)))
    if problem:
        remedy = _ROOT_REMEDY if os.geteuid() == 0 else _PLAIN_REMEDY
        return Examination(found=True, works=False, version=version, problem=problem, remedy=remedy)
    steps = namespace.why_not() or _attempt_step(found, folder, image)
    words = "runs steps as root of a user namespace" if not steps else f"runs no steps: {steps} ({_FAKEROOT_REMEDY})"
    return Examination(found=True, works=True, version=version, details=(f"{found.flavor} at {found.path}", words))


def _attempt_step(found: Program, folder: Path, image: Path) -> str:
    upper = folder / "overlay"
    upper.mkdir()
    try:
        return _attempt(found, Call((image,), ("/true",), overlay=upper, fakeroot=os.geteuid() != 0))
    finally:
        with namespace.child("remove", upper):
            pass


def _attempt(found: Program, call: Call) -> str:
    """Why *call* did not end well; empty where it did."""
    said: deque[bytes] = deque(maxlen=20)
    status = child.run(apptainer.argv(found, call), apptainer.environment(found, {}), said.append, _SECONDS)
    if status == 0:
        return ""
    plain = _COLOR.sub("", b"".join(said).decode("utf-8", "replace"))
    lines = [line for line in plain.splitlines() if line.strip()]
    if status == child.TIMED_OUT:
        return f"it did not end within {_SECONDS:g} seconds"
    return lines[-1].strip() if lines else f"exit status {status}"


def _program() -> bytes:
    """An ELF file whose program ends well and does nothing else. Source: System V ABI, elf(5)."""
    host = _platform.of_host()
    if host not in _CODE:
        raise BackendError(apptainer.NAME, f"there is no test program for {host}", remedy="build an image and run it")
    machine, code = _CODE[host]
    address, head = 0x400000, 64 + 56
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = ident + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, address + head, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    size = head + len(code)
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, address, address, size, size, 0x10000) + code
