"""A root file system that every engine can start: this machine's own shell and a few tools, with their libraries."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
from functools import cache
from pathlib import Path
from typing import Final

TOOLS: Final = tuple(
    "sh cat chmod chown chroot env head id ln ls mkdir pwd rm sleep touch yes".split()  # noqa: SIM905 - a line to read
)
_LINKS: Final = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
_FOLDERS: Final = {
    **dict.fromkeys(("dev", "etc", "home", "home/app", "proc", "run", "srv", "sys"), 0o755),
    **dict.fromkeys(("usr", "usr/bin", "usr/lib", "usr/lib64", "usr/sbin", "var"), 0o755),
    "root": 0o700,
    "tmp": 0o1777,
}
_FILES: Final = {
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:App:/home/app:/bin/sh\n",
    "etc/group": b"root:x:0:\napps:x:1001:\n",
    "srv/kept": b"from the base\n",
    "srv/doomed": b"for a step to delete\n",
}


@cache
def root_tar() -> bytes:
    """The tar; the same bytes whenever it is asked for on one machine.

    Raises:
        FileNotFoundError: this machine lacks one of the tools, or ``ldd``.
    """
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, mode in sorted(_FOLDERS.items()):
            ids = (1000, 1001) if path == "home/app" else (0, 0)
            _add(tar, path, mode, *ids, kind=tarfile.DIRTYPE)
        for path, target in sorted(_LINKS.items()):
            _add(tar, path, 0o777, kind=tarfile.SYMTYPE, target=target)
        for path, content in sorted(_FILES.items()):
            _add(tar, path, 0o644, content=content)
        for path, source in sorted(_programs().items()):
            _add(tar, path, 0o755, content=source.read_bytes())
    return stream.getvalue()


def _programs() -> dict[str, Path]:
    """Path in the image → file of this machine."""
    found: dict[str, Path] = {}
    for tool in TOOLS:
        program = shutil.which(tool)
        if program is None:
            raise FileNotFoundError(f"no program {tool} on this machine")
        found[f"usr/{Path(program).parent.name}/{tool}"] = Path(program).resolve()  # chroot lives in sbin
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"(/\S+) \(0x", listed):
            found[re.sub(r"^/(?:usr/)?(lib\w*)/", r"usr/\1/", library)] = Path(library).resolve()
    return found


def _add(
    tar: tarfile.TarFile,
    path: str,
    mode: int,
    uid: int = 0,
    gid: int = 0,
    *,
    kind: bytes = tarfile.REGTYPE,
    target: str = "",
    content: bytes = b"",
) -> None:
    member = tarfile.TarInfo(path)
    member.type, member.mode, member.uid, member.gid = kind, mode, uid, gid
    member.linkname, member.size = target, len(content)
    tar.addfile(member, io.BytesIO(content))
