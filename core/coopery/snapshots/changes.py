"""What a step changed, read from the upper folder of an overlay mount and written as a layer.

Docker, Podman and Apptainer all run steps on overlayfs, whose upper folder is the change set itself; reading it costs
what changed, not what the image weighs. It must be read by somebody who sees its owners as the image does: root, or a
process inside the engine's user namespace: ``python -m coopery.snapshots.changes UPPER [OMITTED…]`` writes the tar to
its standard output.

Times are kept, in seconds: timestamped ``.pyc`` files and ``make`` compare them. Whiteouts follow the OCI image spec
v1.1, layer.md, "Whiteouts"; overlayfs's own form is told in the kernel's Documentation/filesystems/overlayfs.rst.
fuse-overlayfs writes the kernel's form or the OCI's, whichever the file system below allows.
"""

from __future__ import annotations

import os
import stat
import sys
import tarfile
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from coopery.errors import IntegrityError
from coopery.layers.tar import Sink

_OPAQUE: Final = ("trusted.overlay.opaque", "user.overlay.opaque", "user.fuseoverlayfs.opaque")
_INDIRECT: Final = (
    "trusted.overlay.redirect",
    "user.overlay.redirect",
    "trusted.overlay.metacopy",
    "user.overlay.metacopy",
)
_KEPT: Final = ("security.capability", "user.")
_NOT_KEPT: Final = ("user.overlay.", "user.fuseoverlayfs.")
INDIRECT_STATUS: Final = 3
"""Exit status of this module as a program where it raises IndirectError."""

_WHITEOUT: Final = ".wh."
_OPAQUE_WHITEOUT: Final = ".wh..wh..opq"
_FUSE_OPAQUE: Final = ".wh..opq"  # fuse-overlayfs sets it, as a device, beside the OCI form


class IndirectError(IntegrityError):
    """The folder refers to lower layers for content (``redirect_dir``, ``metacopy``): it is no change set by itself."""


@frozen
class Changes:
    """What was written. ``left_out``: sockets and device nodes, which no layer of ours has."""

    paths: int
    left_out: tuple[str, ...]


def write_changes(upper: Path, sink: Sink, omit: Callable[[str], bool] = lambda _path: False) -> Changes:
    """Write the change set in *upper* to *sink* as a tar, sorted, parents first.

    Args:
        upper: the upper folder; nothing may write to it meanwhile.
        sink: takes the tar; stays open.
        omit: told each path (relative, no leading slash); True leaves it out, with all below it.

    Raises:
        IndirectError: *upper* is no change set by itself.
        OSError: a file cannot be read.
    """
    stream: Any = sink  # tarfile asks for a whole file object; in this mode it only writes
    names: dict[tuple[int, int], str] = {}
    left_out: list[str] = []
    count = 0
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 20) as tar:
        for path, found in _walk(upper, "", omit):
            if path.rpartition("/")[2] == _FUSE_OPAQUE:
                continue
            member = _member(upper, path, found, names)
            if member is None:
                left_out.append(path)
                continue
            count += 1
            if member.isreg() and member.size:
                with (upper / path).open("rb", buffering=0) as content:
                    tar.addfile(member, content)
            else:
                tar.addfile(member)
            if member.isdir() and _attribute(upper / path, _OPAQUE) == b"y" and not _marked(upper / path):
                tar.addfile(_empty(f"{path}/{_OPAQUE_WHITEOUT}", member))
    return Changes(count, tuple(left_out))


def _walk(upper: Path, below: str, omit: Callable[[str], bool]) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(upper / below) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        path = f"{below}/{name}" if below else name
        if omit(path):
            continue
        found = os.lstat(upper / path)
        yield path, found
        if stat.S_ISDIR(found.st_mode):
            yield from _walk(upper, path, omit)


def _member(upper: Path, path: str, found: os.stat_result, names: dict[tuple[int, int], str]) -> tarfile.TarInfo | None:
    mode = found.st_mode
    folder, _, name = path.rpartition("/")
    if stat.S_ISCHR(mode) and found.st_rdev == 0:
        return _empty(f"{folder}/{_WHITEOUT}{name}".lstrip("/"))
    if name.startswith(_WHITEOUT):
        return _empty(path)
    member = tarfile.TarInfo(path)
    member.mode, member.uid, member.gid, member.mtime = (
        stat.S_IMODE(mode),
        found.st_uid,
        found.st_gid,
        int(found.st_mtime),
    )
    member.pax_headers = _attributes(upper / path)
    if stat.S_ISDIR(mode):
        member.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(mode):
        member.type, member.linkname = tarfile.SYMTYPE, os.readlink(upper / path)
    elif stat.S_ISFIFO(mode):
        member.type = tarfile.FIFOTYPE
    elif stat.S_ISREG(mode):
        _as_file(member, path, found, names)
    else:
        return None
    return member


def _marked(folder: Path) -> bool:
    """Whether fuse-overlayfs has put the OCI form of "opaque" into *folder* already."""
    return os.path.lexists(folder / _OPAQUE_WHITEOUT)


def _as_file(member: tarfile.TarInfo, path: str, found: os.stat_result, names: dict[tuple[int, int], str]) -> None:
    """A file, or a hard link to a name of it that came before."""
    first = names.setdefault((found.st_dev, found.st_ino), path) if found.st_nlink > 1 else path
    if first == path:
        member.size = found.st_size
    else:
        member.type, member.linkname, member.pax_headers = tarfile.LNKTYPE, first, {}


def _empty(path: str, like: tarfile.TarInfo | None = None) -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.mode = 0o644
    member.mtime = like.mtime if like else 0
    return member


def _attributes(path: Path) -> dict[str, str]:
    """Extended attributes that belong to the image, as pax records."""
    found: dict[str, str] = {}
    for name in _names(path):
        if name in _INDIRECT:
            raise IndirectError(f"{path}: {name} is set: its content is in a lower layer")
        if name.startswith(_KEPT) and not name.startswith(_NOT_KEPT):
            value = os.getxattr(path, name, follow_symlinks=False)
            found[f"SCHILY.xattr.{name}"] = value.decode("utf-8", "surrogateescape")
    return found


def _attribute(path: Path, names: Collection[str]) -> bytes:
    there = [name for name in _names(path) if name in names]
    return os.getxattr(path, there[0], follow_symlinks=False) if there else b""


def _names(path: Path) -> list[str]:
    try:
        return os.listxattr(path, follow_symlinks=False)
    except OSError:  # a file system that has none
        return []


def main(arguments: Sequence[str]) -> int:
    """Write the changes in the folder that the first of *arguments* names to standard output.

    Paths that engines leave (`coopery.snapshots.running.stray`), and the other *arguments*, are left out.
    """
    from coopery.snapshots.running import stray

    upper, omitted = Path(arguments[0]), frozenset(arguments[1:])
    try:
        write_changes(upper, sys.stdout.buffer, lambda path: path in omitted or stray(path))
        sys.stdout.buffer.flush()
    except IndirectError as exc:
        sys.stderr.write(f"{exc}\n")
        return INDIRECT_STATUS
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
