"""Write one conda package: a folder of files and its metadata become ``name-version-build.conda``.

Source: conda's CEP 26 to 34 as far as package files go: the ``.conda`` container, ``info/index.json``, ``paths.json``,
``link.json``.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zstandard
from attrs import define, field

PLACEHOLDER = "/opt/channel/build" + "_placehold" * 23
"""What stands for the prefix: 248 bytes, so that any shorter prefix fits into a binary too."""

TIME = (1980, 1, 1, 0, 0, 0)
EPOCH = 315532800
LEVEL = 3


@define
class Recipe:
    """What a package says of itself. ``entry_points`` and ``noarch`` go together: others have scripts of their own."""

    name: str
    version: str
    build: str
    subdir: str
    depends: list[str] = field(factory=list)
    build_number: int = 0
    license: str = ""
    noarch: bool = False
    entry_points: list[str] = field(factory=list)
    track_features: str = ""

    @property
    def stem(self) -> str:
        return f"{self.name}-{self.version}-{self.build}"

    def index(self) -> dict[str, Any]:
        index = {
            "name": self.name,
            "version": self.version,
            "build": self.build,
            "build_number": self.build_number,
            "subdir": self.subdir,
            "depends": sorted(self.depends),
            "license": self.license,
            "timestamp": EPOCH * 1000,
        }
        platform, _, width = self.subdir.partition("-")
        extra = (
            {"noarch": "python"} if self.noarch else {"platform": platform, "arch": {"64": "x86_64"}.get(width, width)}
        )
        return {**index, **extra, **({"track_features": self.track_features} if self.track_features else {})}


def write(recipe: Recipe, files: Path, channel: Path) -> dict[str, Any]:
    """Put *files* into ``channel/subdir/name-version-build.conda``; returns its record for the channel's index."""
    paths = sorted(_walk(files), key=lambda path: path.relative_to(files).as_posix())
    info = {
        "index.json": recipe.index(),
        "paths.json": {"paths": [_path(path, files) for path in paths], "paths_version": 1},
        "about.json": {"license": recipe.license, "summary": f"{recipe.name}, repackaged for tests"},
    }
    if recipe.noarch:
        python = {"type": "python", "entry_points": recipe.entry_points}
        info["link.json"] = {"noarch": python, "package_metadata_version": 1}
    texts = {f"info/{name}": json.dumps(value, sort_keys=True, indent=1).encode() for name, value in info.items()}
    texts["info/files"] = "".join(f"{path.relative_to(files).as_posix()}\n" for path in paths).encode()
    target = channel / recipe.subdir / f"{recipe.stem}.conda"
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        _store(archive, "metadata.json", json.dumps({"conda_pkg_format_version": 2}).encode())
        _store(archive, f"info-{recipe.stem}.tar.zst", _tar_of_texts(texts))
        _store(archive, f"pkg-{recipe.stem}.tar.zst", _tar_of_files(paths, files))
    return _record(recipe, target)


def _record(recipe: Recipe, path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return {
        **recipe.index(),
        "size": len(data),
        "md5": md5,
        "sha256": hashlib.sha256(data).hexdigest(),
        "fn": path.name,
    }


def _walk(folder: Path) -> Iterator[Path]:
    for directory, _, names in os.walk(folder):
        yield from (Path(directory, name) for name in names)
        yield from (path for path in Path(directory).iterdir() if path.is_symlink() and path.is_dir())


def _path(path: Path, files: Path) -> dict[str, Any]:
    """One entry of ``paths.json``. A link's sum is that of what it leads to, where that is in the package."""
    entry: dict[str, Any] = {"_path": path.relative_to(files).as_posix(), "path_type": "hardlink"}
    data = path.read_bytes() if path.is_file() else b""
    if path.is_symlink():
        entry["path_type"] = "softlink"
    elif PLACEHOLDER.encode() in data:
        entry |= {"prefix_placeholder": PLACEHOLDER, "file_mode": "binary" if b"\0" in data else "text"}
    return {**entry, "sha256": hashlib.sha256(data).hexdigest(), "size_in_bytes": len(data)}


def _store(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, TIME), data)


def _tar_of_texts(texts: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in sorted(texts.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), EPOCH
            archive.addfile(info, io.BytesIO(data))
    return zstandard.ZstdCompressor(level=LEVEL).compress(buffer.getvalue())


def _tar_of_files(paths: list[Path], files: Path) -> bytes:
    buffer = io.BytesIO()
    with (
        zstandard.ZstdCompressor(level=LEVEL).stream_writer(buffer, closefd=False) as packed,
        tarfile.open(fileobj=packed, mode="w|", bufsize=1 << 20) as archive,
    ):
        for path in paths:
            archive.add(path, path.relative_to(files).as_posix(), recursive=False, filter=_anonymous)
    return buffer.getvalue()


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = EPOCH
    info.mode = 0o777 if info.issym() else 0o755 if info.mode & 0o100 else 0o644
    return info
