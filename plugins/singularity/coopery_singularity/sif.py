"""The Singularity Image Format, as far as one image needs it: a header, a table of descriptors, and their data.

Written here, and not by ``apptainer sif``, since that takes times and ids from the clock and from chance: these bytes
are a function of the config and the squashfs. Source: sylabs/sif and apptainer/sif, pkg/sif, "SIF format", version 01.

      0  header       launch script, magic, version, architecture, id, times, where the rest is
   4096  descriptors  48 places of 585 bytes, so that ``apptainer sign`` finds room for its own
  32768  data         the OCI config as ``oci-config.json``, as Apptainer stores it; then the squashfs, page by page
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO, Final

from attrs import frozen

from coopery import digest as _digest
from coopery import platform as _platform
from coopery.digest import Digest
from coopery.errors import BackendError, IntegrityError
from coopery_singularity.apptainer import NAME

_LAUNCH: Final = b"#!/usr/bin/env run-singularity\n"
_MAGIC: Final = b"SIF_MAGIC"
_VERSION: Final = b"01"
_HEADER: Final = struct.Struct("<32s10s3s3s16sqqqqqqqq")
_DESCRIPTOR: Final = struct.Struct("<i?IIIqqqqqqq128s384s")
_PARTITION: Final = struct.Struct("<ii3s")
_DESCRIPTORS_AT: Final = 4096
_DESCRIPTORS: Final = 48
_DATA_AT: Final = 32768
_PAGE: Final = 4096
_GROUP: Final = 0xF0000001
_JSON: Final = 0x4006
_SYSTEM: Final = 0x4004
_SQUASHFS: Final = 1
_PRIMARY: Final = 2
_ARCHITECTURES: Final = {
    "386": "01",
    "amd64": "02",
    "arm": "03",
    "arm64": "04",
    "ppc64": "05",
    "ppc64le": "06",
    "riscv64": "12",
    "s390x": "11",
}
_CONFIG_NAME: Final = "oci-config.json"
_MAX_CONFIG: Final = 4 << 20


@frozen
class Contents:
    """What a SIF of ours holds: the OCI config, and where the squashfs is."""

    config: bytes
    offset: int
    size: int

    @property
    def image_id(self) -> Digest:
        """OCI config digest."""
        return _digest.of_bytes(self.config)


def squashfs_at(config: bytes) -> int:
    """The byte at which the squashfs of an image with *config* begins."""
    return _aligned(_DATA_AT + len(config))


def write_frame(path: Path, config: bytes, platform: str) -> None:
    """Make *path*, a file with a squashfs from byte `squashfs_at` to its end, a SIF.

    Raises:
        BackendError: the format has no word for *platform*.
        OSError: the disk refused.
    """
    architecture = _architecture(platform)
    start = squashfs_at(config)
    with path.open("r+b") as file:
        end = file.seek(0, 2)
        identity = bytearray(bytes.fromhex(_digest.hex_of(_digest.of_bytes(config)))[:16])
        identity[6], identity[8] = identity[6] & 0x0F | 0x80, identity[8] & 0x3F | 0x80  # RFC 9562: version 8, its own
        header = _HEADER.pack(
            _LAUNCH, _MAGIC, _VERSION, architecture, bytes(identity), 0, 0,
            _DESCRIPTORS - 2, _DESCRIPTORS, _DESCRIPTORS_AT, _DESCRIPTORS * _DESCRIPTOR.size, _DATA_AT, end - _DATA_AT,
        )  # fmt: skip
        partition = _PARTITION.pack(_SQUASHFS, _PRIMARY, architecture)
        _write(file, 0, header)
        _write(file, _DESCRIPTORS_AT, bytes(_DESCRIPTORS * _DESCRIPTOR.size))
        _write(file, _DESCRIPTORS_AT, _descriptor(1, _JSON, _DATA_AT, len(config), start, _CONFIG_NAME, b"\0" * 8))
        _write(
            file, _DESCRIPTORS_AT + _DESCRIPTOR.size, _descriptor(2, _SYSTEM, start, end - start, end, "", partition)
        )
        _write(file, _DATA_AT, config)


def read(path: Path) -> Contents:
    """What the SIF at *path* holds.

    Raises:
        IntegrityError: no SIF, or one that Coopery did not make.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEADER.size)
        if len(head) < _HEADER.size or head[32:42].rstrip(b"\0") != _MAGIC:
            raise IntegrityError(f"{path}: no SIF")
        file.seek(_DESCRIPTORS_AT)
        table = file.read(2 * _DESCRIPTOR.size)
        if len(table) != 2 * _DESCRIPTOR.size:
            raise IntegrityError(f"{path}: the SIF ends in its table")
        first, second = _DESCRIPTOR.iter_unpack(table)
        config_size = first[6]
        if first[0] != _JSON or second[0] != _SYSTEM or not 0 < config_size <= _MAX_CONFIG:
            raise IntegrityError(f"{path}: a SIF that Coopery did not make")
        file.seek(first[5])
        return Contents(file.read(config_size), second[5], second[6])


def _architecture(platform: str) -> bytes:
    architecture = _platform.architecture(platform)
    if architecture not in _ARCHITECTURES:
        raise BackendError(
            NAME, f"the SIF format has no word for {platform}", remedy=f"one of {', '.join(_ARCHITECTURES)}"
        )
    return _ARCHITECTURES[architecture].encode()


def _descriptor(number: int, kind: int, offset: int, size: int, end: int, name: str, extra: bytes) -> bytes:
    """One place of the table. *end* is where the next data begins: size with padding, in the format's words."""
    padded = end - offset
    return _DESCRIPTOR.pack(kind, True, number, _GROUP, 0, offset, size, padded, 0, 0, 0, 0, name.encode(), extra)


def _write(file: IO[bytes], at: int, data: bytes) -> None:
    file.seek(at)
    file.write(data)


def _aligned(offset: int) -> int:
    return -(-offset // _PAGE) * _PAGE
