"""Root file systems for bases: tars with this machine's shell, and as much or as little of a C library as is wanted."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

LIBC = "usr/lib/x86_64-linux-gnu/libc.so.6"
"""Where Debian and its kin have it on amd64, once /usr is merged."""

MERGED = {name: f"usr/{name}" for name in ("bin", "lib", "lib64")}


def pack(
    path: Path, files: Mapping[str, bytes], links: Mapping[str, str] | None = None, folders: Iterable[str] = ()
) -> Path:
    """A tar of *files* (all of them executable), *links*, *folders*, and the folders above files."""
    with tarfile.open(path, "w") as archive:
        above = {str(parent) for name in files for parent in Path(name).parents} - {"."}
        for folder in sorted({*above, *folders}):
            _add(archive, folder, tarfile.DIRTYPE)
        for name, target in sorted((links or {}).items()):
            _add(archive, name, tarfile.SYMTYPE, target=target)
        for name, data in sorted(files.items()):
            _add(archive, name, tarfile.REGTYPE, data)
    return path


def _add(archive: tarfile.TarFile, name: str, kind: bytes, data: bytes = b"", target: str = "") -> None:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname, info.mode = kind, len(data), target, 0o755
    archive.addfile(info, io.BytesIO(data))


def banner(version: str) -> bytes:
    """What a C library says of itself, without the library."""
    return b"\0GNU C Library (GNU libc) stable release version %s.\0" % version.encode()


def shell() -> dict[str, bytes]:
    """This machine's ``sh`` and what it is linked with, for a root with merged /usr."""
    program = Path(shutil.which("sh") or "/bin/sh")
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    files = {"usr/bin/sh": program.read_bytes()}
    for library in re.findall(r"(/\S+) \(0x", listed):
        files[re.sub(r"^/(lib|lib64)/", r"usr/\1/", library).lstrip("/")] = Path(library).read_bytes()
    return files
