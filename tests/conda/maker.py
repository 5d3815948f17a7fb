"""Makes small conda channels, with packages as sound or as hostile as a test wants them."""

from __future__ import annotations

import bz2
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import zstandard
from attrs import define, field, frozen

PLACEHOLDER = "/built/by/somebody" + "_placehold" * 20


@frozen
class File:
    """One member of a package; ``prefix`` is ``text`` or ``binary`` where it holds the placeholder."""

    data: bytes = b""
    mode: int = 0o644
    prefix: str = ""
    link: str = ""
    kind: str = "hardlink"


def text(content: str, mode: int = 0o644) -> File:
    return File(content.replace("@PREFIX@", PLACEHOLDER).encode(), mode, "text" if "@PREFIX@" in content else "")


def link(target: str) -> File:
    return File(link=target, kind="softlink")


def tar_of(members: Mapping[str, File]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, member in members.items():
            info = tarfile.TarInfo(name)
            info.mode = member.mode
            if member.kind == "directory":
                info.type = tarfile.DIRTYPE
            elif member.link:
                info.type = tarfile.LNKTYPE if member.kind == "tar-hardlink" else tarfile.SYMTYPE
                info.linkname = member.link
            info.size = len(member.data)
            archive.addfile(info, io.BytesIO(member.data))
    return buffer.getvalue()


def paths_json(files: Mapping[str, File]) -> list[dict[str, Any]]:
    rows = []
    for path, member in files.items():
        row: dict[str, Any] = {"_path": path, "path_type": member.kind}
        if member.kind == "hardlink":
            row |= {"sha256": hashlib.sha256(member.data).hexdigest(), "size_in_bytes": len(member.data)}
        if member.prefix:
            row |= {"prefix_placeholder": PLACEHOLDER, "file_mode": member.prefix}
        rows.append(row)
    return rows


@define
class Channel:
    """A channel in *root*. `add` writes a package and its line in the index."""

    root: Path
    index: dict[str, dict[str, Any]] = field(factory=dict)

    def add(
        self,
        name: str,
        files: Mapping[str, File] | None = None,
        *,
        version: str = "1.0",
        build: str = "0",
        depends: Sequence[str] = (),
        subdir: str = "linux-64",
        noarch: str = "",
        entry_points: Sequence[str] | None = None,
        old: bool = False,
        extra: Mapping[str, File] | None = None,
        rows: list[dict[str, Any]] | None = None,
        record: Mapping[str, Any] | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> Path:
        """Make one package; an *old* one is a ``.tar.bz2`` with ``info/files`` and ``info/has_prefix``.

        It lists all *files* and none of *extra*; *rows* is what ``paths.json`` says instead of the truth. *record* has
        fields of the index that say something else than the package (None removes one), *about* more fields of
        ``info/index.json``.
        """
        files = dict(files or {f"share/{name}": File(name.encode())})
        subdir = "noarch" if noarch else subdir
        stem = f"{name}-{version}-{build}"
        head = {"name": name, "version": version, "build": build, "build_number": 0, "depends": list(depends)}
        head |= {"subdir": subdir, **({"noarch": noarch} if noarch else {}), **(about or {})}
        info = {"info/index.json": json.dumps(head)}
        if old:
            info["info/files"] = "".join(f"{path}\n" for path in files)
            placed = [f"{PLACEHOLDER} {f.prefix} {path}\n" for path, f in files.items() if f.prefix]
            info["info/has_prefix"] = "".join(placed)
        else:
            info["info/paths.json"] = json.dumps(
                {"paths": paths_json(files) if rows is None else rows, "paths_version": 1}
            )
        if entry_points is not None:
            info["info/link.json"] = json.dumps(
                {"noarch": {"type": noarch, "entry_points": list(entry_points)}, "package_metadata_version": 1}
            )
        inner = {path: File(data.encode()) for path, data in info.items()}
        outer = {**files, **(extra or {})}
        path = self.root / subdir / (stem + (".tar.bz2" if old else ".conda"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bz2.compress(tar_of({**inner, **outer})) if old else _conda(stem, inner, outer))
        self._list(subdir, path, {**head, **(record or {})}, record or {})
        return path

    def _list(self, subdir: str, path: Path, head: dict[str, Any], record: Mapping[str, Any]) -> None:
        data = path.read_bytes()
        line = {"sha256": hashlib.sha256(data).hexdigest(), "md5": hashlib.md5(data).hexdigest(), "size": len(data)}  # noqa: S324 - a field of the format
        line = {**head, **line, **record}
        line = {name: value for name, value in line.items() if value is not None}
        for one in {subdir, "noarch"}:
            document = self.index.setdefault(one, {"info": {"subdir": one}, "packages": {}, "packages.conda": {}})
            if one == subdir:
                document["packages" if path.name.endswith(".bz2") else "packages.conda"][path.name] = line
            folder = self.root / one
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "repodata.json").write_text(json.dumps(document))


def _conda(stem: str, inner: Mapping[str, File], outer: Mapping[str, File]) -> bytes:
    buffer = io.BytesIO()
    pack = zstandard.ZstdCompressor().compress
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("metadata.json", '{"conda_pkg_format_version": 2}')
        archive.writestr(f"pkg-{stem}.tar.zst", pack(tar_of(outer)))
        archive.writestr(f"info-{stem}.tar.zst", pack(tar_of(inner)))
    return buffer.getvalue()


def add_python(
    channel: Channel, version: str = "3.11.7", modules: Mapping[str, str] | None = None, **more: Any
) -> None:
    """A Python that cannot run: its paths are all that linking needs."""
    minor = ".".join(version.split(".")[:2])
    library = {f"lib/python{minor}/{name}": text(source) for name, source in (modules or {"os.py": "x = 1\n"}).items()}
    binary = b"\x7fELF\0" + PLACEHOLDER.encode() + b"/lib\0and:" + PLACEHOLDER.encode() + b"/a:b\0end"
    files = {
        f"bin/python{minor}": File(binary, 0o755, "binary"),
        "bin/python": link(f"python{minor}"),
        f"lib/python{minor}/__pycache__/os.cpython-{minor.replace('.', '')}.pyc": File(b"stale"),
        **library,
    }
    channel.add("python", files, version=version, build="h1_0_cpython", **more)
