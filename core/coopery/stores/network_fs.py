"""Whether a path is on a network file system, where SQLite's locks and syncs cannot be relied on.

Source: proc(5), ``/proc/pid/mountinfo``; https://www.sqlite.org/lockingv3.html#how_to_corrupt.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from coopery.errors import CacheError

MOUNTS = Path("/proc/self/mountinfo")
_NETWORK: Final = frozenset(
    (
        *("afs", "beegfs", "ceph", "cifs", "coda", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "orangefs"),
        *("panfs", "pvfs2", "smb2", "smb3", "smbfs"),
        *("fuse.ceph", "fuse.glusterfs", "fuse.juicefs", "fuse.s3fs", "fuse.sshfs"),
    )
)
_ESCAPES: Final = (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\"))


def refuse(folder: Path) -> None:
    """Let *folder* pass unless it is on a network file system.

    Raises:
        CacheError: it is.
    """
    kind = type_of(os.path.realpath(folder))
    if kind in _NETWORK:
        raise CacheError(
            f"{folder}: refused, it is on a network file system ({kind}), whose locks SQLite cannot rely on",
            remedy="keep records on a local disk (COOPERY_HOME); for one machine only: sqlite:?allow_network_fs=true",
        )


def type_of(path: str) -> str:
    """File system type of the resolved *path*, as the kernel names it; empty where it does not say (no Linux)."""
    try:
        table = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
    best, kind = -1, ""
    for line in table.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split(" ", 5)
        if len(fields) < 5 or not right:
            continue
        mount = _unescape(fields[4])
        # On equal length the later line wins: it is mounted over the earlier one.
        if len(mount) >= best and _is_below(path, mount):
            best, kind = len(mount), right.split(" ", 1)[0]
    return kind


def _is_below(path: str, mount: str) -> bool:
    return path == mount or path.startswith(mount if mount.endswith("/") else mount + "/")


def _unescape(text: str) -> str:
    if "\\" in text:
        for escaped, plain in _ESCAPES:
            text = text.replace(escaped, plain)
    return text
