"""Squashfs files made by mksquashfs, and SIFs around them made by hand."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coopery.home import Home

Member = tuple[str, dict[str, Any]]


def tar_of(members: list[Member]) -> bytes:
    """A tar of *members*: a path and what its entry says; ``content`` is its bytes."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, given in members:
            member = tarfile.TarInfo(path)
            content = given.pop("content", b"")
            for name, value in given.items():
                setattr(member, name, value)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def folder(**given: Any) -> dict[str, Any]:
    return {"type": tarfile.DIRTYPE, "mode": 0o755, **given}


def link(target: str, **given: Any) -> dict[str, Any]:
    return {"type": tarfile.SYMTYPE, "mode": 0o777, "linkname": target, **given}


def squash(path: Path, members: list[Member], *options: str) -> bytes:
    """A squashfs of *members*, made from a tar, so that owners need no root."""
    argv = ["mksquashfs", "-", path, "-tar", "-quiet", "-no-progress", "-noappend", *options]
    subprocess.run(argv, input=tar_of(members), check=True, capture_output=True)
    return path.read_bytes()


def frame(
    system: bytes, *, config: bytes | None = None, kind: int = 1, architecture: bytes = b"02", use: int = 2
) -> bytes:
    """A SIF with *system* as its file system; the config lies behind it, as foreign ones may have it."""
    at = 32768
    table = struct.pack(
        "<i?IIIqqqqqqq128s384s",
        0x4004, True, 1, 0xF0000001, 0, at, len(system), len(system), 0, 0, 0, 0, b"",
        struct.pack("<ii3s", kind, use, architecture),
    )  # fmt: skip
    if config is not None:
        size = len(config)
        table += struct.pack(
            "<i?IIIqqqqqqq128s384s",
            0x4006, True, 2, 0xF0000001, 0, at + len(system), size, size, 0, 0, 0, 0, b"oci-config.json", b"",
        )  # fmt: skip
    head = struct.pack(
        "<32s10s3s3s16sqqqqqqqq", b"#!/usr/bin/env run-singularity\n", b"SIF_MAGIC", b"01", architecture, bytes(16),
        0, 0, 46, 48, 4096, 48 * 585, at, len(system) + len(config or b""),
    )  # fmt: skip
    return (head.ljust(4096, b"\0") + table).ljust(at, b"\0") + system + (config or b"")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.make()
    return made


@pytest.fixture
def make() -> SimpleNamespace:
    return SimpleNamespace(tar=tar_of, folder=folder, link=link, squash=squash, frame=frame)


@pytest.fixture
def sif(tmp_path: Path) -> Callable[..., Path]:
    """Writes a SIF of *members*."""

    def write(members: list[Member], *options: str, **how: Any) -> Path:
        path = tmp_path / f"{os.urandom(4).hex()}.sif"
        path.write_bytes(frame(squash(tmp_path / "made.sqfs", members, *options), **how))
        return path

    return write
