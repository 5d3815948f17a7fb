"""What a step changed in its working container, as a layer: from the overlay's upper folder, else by buildah's commit.

As root the folder is read here. For an ordinary user its owners are only what the image means inside buildah's user
namespace, so that a child there writes the tar. Drivers without such a folder (vfs), and folders that refer to lower
layers, go through ``buildah commit``, which writes every layer of the image: it is correct, and slow.
"""

from __future__ import annotations

import os
import stat
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coopery.folders import scratch
from coopery.layer import Layer
from coopery.oci.archive import read_archive
from coopery.oci.layer_blob import plain_blob
from coopery.snapshots.changes import INDIRECT_STATUS, IndirectError, write_changes
from coopery_podman import buildah
from coopery_podman.calling import stream
from coopery_podman.storage import LookError, locate
from coopery_podman.strays import AROUND, around, is_stray, unchanged

if TYPE_CHECKING:
    from coopery.backend import Workshop
    from coopery.files import Files
    from coopery.layers.tar import Sink
    from coopery_podman.buildah import Buildah


def take(workshop: Workshop, tool: Buildah, name: str, platform: str, files: Files) -> Layer:
    """The changes in the container *name*, whose image is for *platform* and had *files*, as a layer in the blob store.

    Raises:
        BackendError: buildah failed.
        StoreFull, CacheError: the disk refused.
    """
    upper = _upper(workshop, tool, name)
    if upper is not None:
        folders = around(upper, files)
        try:
            if os.geteuid() == 0:
                return _written(workshop, lambda sink: write_changes(upper, sink, is_stray(folders)))
            return _written(workshop, lambda sink: _by_child(tool, upper, folders, sink))
        except IndirectError:
            pass  # this kernel's overlayfs uses redirects: the folder is no change set by itself
    return _committed(workshop, tool, name, platform, files)


def _upper(workshop: Workshop, tool: Buildah, name: str) -> Path | None:
    try:
        return locate(workshop, tool).upper(name)
    except LookError:
        return None


def _written(workshop: Workshop, write: Callable[[Sink], object]) -> Layer:
    with workshop.blobs.create() as writer:
        write(writer)
    if writer.digest is None:
        raise AssertionError("a blob that was created without an error has a digest")
    return Layer(writer.digest, writer.digest, writer.size, made=True)


def _by_child(tool: Buildah, upper: Path, folders: frozenset[str], sink: Sink) -> None:
    child = (sys.executable, "-P", "-m", "coopery.snapshots.changes", str(upper), *sorted(folders))
    argv = tool.argv(buildah.unshare(child))
    status = stream(argv, tool.backend, sink.write, allowed=(INDIRECT_STATUS,))
    if status:
        raise IndirectError(f"{upper}: its content is in a lower layer")


def _committed(workshop: Workshop, tool: Buildah, name: str, platform: str, files: Files) -> Layer:
    with scratch(workshop.staging, "committed") as folder:
        file = folder / "image.tar"
        tool.call(buildah.commit(name, buildah.docker_archive(file)))
        top = read_archive(file, "", platform, workshop.blobs)[1].layers[-1]
        return _written(workshop, lambda sink: _filtered(plain_blob(top, workshop.blobs), sink, files))


def _filtered(path: Path, sink: Sink, files: Files) -> None:
    """The tar at *path* without what the engine left in it."""
    out: Any = sink  # tarfile asks for a whole file object; in this mode it only writes
    with tarfile.open(path) as tar, tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as kept:
        members = [(member, member.name.strip("/").removeprefix("./")) for member in tar]
        strays = is_stray(_around(members, files))
        for member, name in members:
            if name in ("", ".") or any(strays(part) for part in _line(name)):
                continue
            member.name, member.mode = name, stat.S_IMODE(member.mode)  # Docker's form has the kind in it too
            kept.addfile(member, tar.extractfile(member) if member.isreg() else None)


def _around(members: list[tuple[tarfile.TarInfo, str]], files: Files) -> frozenset[str]:
    found = set()
    for member, name in members:
        if (
            name in AROUND
            and member.isdir()
            and unchanged(name, stat.S_IMODE(member.mode), (member.uid, member.gid), files)
        ):
            below = [path for _, path in members if path.startswith(f"{name}/")]
            if all(any(map(is_stray(()), _line(path))) for path in below):
                found.add(name)
    return frozenset(found)


def _line(name: str) -> list[str]:
    """*name* and every folder above it."""
    parts = name.split("/")
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]
