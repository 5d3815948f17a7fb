"""What a SIF holds: the file system that it starts from, its architecture, the OCI config where it has one.

Source: apptainer/sif, pkg/sif, "SIF format", version 01; Apptainer keeps the config of an image that it made from an
OCI image as a JSON object called ``oci-config.json``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO, Any, Final

from attrs import frozen

from coopery.errors import BaseError, IntegrityError

_HEADER: Final = struct.Struct("<32s10s3s3s16sqqqqqqqq")
_DESCRIPTOR: Final = struct.Struct("<i?IIIqqqqqqq128s384s")
_PARTITION: Final = struct.Struct("<ii3s")
_MAGIC: Final = b"SIF_MAGIC"
_MOST: Final = 4096
"""Descriptors of one file; Apptainer makes room for 48."""

_JSON: Final = 0x4006
_SYSTEM: Final = 0x4004
_PRIMARY: Final = 2
_SQUASHFS: Final = 1
_OTHERS: Final = {2: "ext3", 3: "a raw archive", 4: "an encrypted squashfs"}
_ARCHITECTURES: Final = {
    b"01": "386",
    b"02": "amd64",
    b"03": "arm",
    b"04": "arm64",
    b"05": "ppc64",
    b"06": "ppc64le",
    b"11": "s390x",
    b"12": "riscv64",
}
_CONFIG_NAME: Final = b"oci-config.json"
_MAX_CONFIG: Final = 4 << 20


@frozen
class Frame:
    """Where things are in a SIF.

    Attributes:
        platform: ``linux/amd64``; empty where the file does not say.
        offset, size: of the squashfs, in bytes.
        config: what ``oci-config.json`` holds; empty where there is none.
    """

    platform: str
    offset: int
    size: int
    config: bytes


@frozen
class _Descriptor:
    kind: int
    offset: int
    size: int
    name: bytes
    extra: bytes


def read_frame(file: IO[bytes], where: str) -> Frame:
    """What the SIF *file* holds; *where* is its name in messages.

    Raises:
        BaseError: no SIF, or its file system is no squashfs that can be read.
        IntegrityError: a table or an object lies outside of the file.
    """
    end = file.seek(0, 2)
    found = tuple(_descriptors(file, end, where))
    system = next((one for one in found if one.kind == _SYSTEM and _partition(one)[1] == _PRIMARY), None)
    if system is None:
        raise BaseError(f"{where}: a SIF with no file system to start from")
    kind, _, architecture = _partition(system)
    if kind != _SQUASHFS:
        words = _OTHERS.get(kind, f"a file system of kind {kind}")
        raise BaseError(
            f"{where}: its file system is {words}, and only a plain squashfs is read",
            remedy="make a SIF of it with apptainer build, or export an archive",
        )
    config = next((one for one in found if one.kind == _JSON and one.name == _CONFIG_NAME), None)
    platform = f"linux/{_ARCHITECTURES[architecture]}" if architecture in _ARCHITECTURES else ""
    return Frame(platform, system.offset, system.size, _config(file, config, where))


def _descriptors(file: IO[bytes], end: int, where: str) -> Iterator[_Descriptor]:
    file.seek(0)
    head = file.read(_HEADER.size)
    if len(head) < _HEADER.size or head[32:42].rstrip(b"\0") != _MAGIC:
        raise BaseError(f"{where}: no SIF", remedy="write rootfs: for a tar, archive: for an image's archive")
    fields: tuple[Any, ...] = _HEADER.unpack(head)
    total, at = fields[8], fields[9]
    if not 0 <= total <= _MOST or not 0 <= at <= end - total * _DESCRIPTOR.size:
        raise IntegrityError(f"{where}: the SIF's table lies outside of the file")
    file.seek(at)
    for entry in _DESCRIPTOR.iter_unpack(file.read(total * _DESCRIPTOR.size)):
        kind, used, offset, size = entry[0], entry[1], entry[5], entry[6]
        if not used:
            continue
        if offset < 0 or size < 0 or offset + size > end:
            raise IntegrityError(f"{where}: an object of the SIF lies outside of the file")
        yield _Descriptor(kind, offset, size, entry[12].rstrip(b"\0"), entry[13])


def _partition(system: _Descriptor) -> tuple[int, int, bytes]:
    kind, use, architecture = _PARTITION.unpack_from(system.extra)
    return kind, use, architecture.rstrip(b"\0")


def _config(file: IO[bytes], config: _Descriptor | None, where: str) -> bytes:
    if config is None:
        return b""
    if config.size > _MAX_CONFIG:
        raise IntegrityError(f"{where}: oci-config.json of {config.size} bytes; at most {_MAX_CONFIG} are read")
    file.seek(config.offset)
    return file.read(config.size)
