"""Wheels made by hand: right in every detail unless told otherwise."""

from __future__ import annotations

import hashlib
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import frozen

from coopery.lock import Artifact

WHEEL = "Wheel-Version: {version}\nGenerator: by hand\nRoot-Is-Purelib: {purelib}\nTag: py3-none-any\n"


@frozen
class File:
    """One member: its bytes, and the upper half of its external attributes."""

    data: bytes = b""
    mode: int = 0o100644


Content = bytes | str | File


def make(
    folder: Path,
    files: Mapping[str, Content] | None = None,
    *,
    name: str = "pkg",
    version: str = "1.0",
    entry_points: str = "",
    record: str | None = None,
    purelib: bool = True,
    dist_info: str | None = None,
    method: int = zipfile.ZIP_DEFLATED,
    source: str = "pypi",
    tag: str = "py3-none-any",
    unlisted: Iterable[str] = (),
    wheel_version: str = "1.0",
) -> tuple[Artifact, Path]:
    """A wheel in *folder*, with the artifact that a lock would have of it.

    Args:
        folder: where it is written.
        files: path in the wheel → content.
        name: of the file name, as are *version* and *tag*.
        version: as above.
        tag: as above.
        entry_points: text of ``entry_points.txt``.
        record: text of RECORD in place of the right one.
        purelib: whether the root is.
        dist_info: the folder of metadata, where it is not named as the file.
        method: of compression.
        source: of the artifact.
        unlisted: files that RECORD leaves out.
        wheel_version: of the format.
    """
    info = dist_info or f"{name}-{version}.dist-info"
    found = {path: _file(content) for path, content in (files or {}).items()}
    found[f"{info}/METADATA"] = _file(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    found[f"{info}/WHEEL"] = _file(WHEEL.format(version=wheel_version, purelib=str(purelib).lower()))
    if entry_points:
        found[f"{info}/entry_points.txt"] = _file(entry_points)
    text = "".join(line(path, file.data) for path, file in found.items() if path not in unlisted)
    found[f"{info}/RECORD"] = _file(f"{text}{info}/RECORD,,\n" if record is None else record)
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w", method) as archive:
        for member, file in found.items():
            archive.writestr(_info(member, file, method), file.data)
    return artifact(path, name, version, source), path


def artifact(path: Path, name: str = "pkg", version: str = "1.0", source: str = "pypi") -> Artifact:
    """The artifact of the wheel at *path*."""
    data = path.read_bytes()
    return Artifact("pip", name, version, "", "", path.name, source, hashlib.sha256(data).hexdigest(), len(data))


def line(path: str, data: bytes, algorithm: str = "sha256") -> str:
    """A line of RECORD."""
    digest = urlsafe_b64encode(hashlib.new(algorithm, data).digest()).decode().rstrip("=")
    quoted = f'"{path}"' if "," in path else path
    return f"{quoted},{algorithm}={digest},{len(data)}\n"


def _file(content: Content) -> File:
    if isinstance(content, File):
        return content
    return File(content.encode() if isinstance(content, str) else content)


def _info(path: str, file: File, method: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0))
    info.external_attr, info.compress_type = file.mode << 16, method
    return info
