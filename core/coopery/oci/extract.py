"""Unpack a layer stack into a folder, so that a process can be run in it without an engine.

The tree is put together in memory first (`coopery.oci.tree`), and only what is left of it is written: folders, then
files, then hard links, and symlinks last of all. So while anything is written there is no symlink that it could pass,
and no entry can be written twice. Nobody else can enter the folder meanwhile: its mode is 0700 until the end.

Not restored: devices and FIFOs (skipped, and counted), setuid and setgid bits (a file on the host that any of its
users could run with another's rights), extended attributes, and owners where this process may not give files away.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from attrs import frozen

from coopery.blobs import BlobStore, disk_error
from coopery.errors import IntegrityError, UsageError
from coopery.layer import TAR, Layer
from coopery.oci.layer_blob import name_of, opened
from coopery.oci.layers_view import merged
from coopery.oci.limits import DEFAULT, Limits
from coopery.oci.stream import Stream
from coopery.oci.tree import Node

_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ALL_IDS: Final = 1 << 32


@frozen
class Extracted:
    """What was written.

    Attributes:
        files: paths, folders among them.
        size: bytes of content.
        skipped: devices and FIFOs that were left out.
    """

    files: int
    size: int
    skipped: int


def extract(layers: Sequence[Layer], blobs: BlobStore, target: Path, *, limits: Limits = DEFAULT) -> Extracted:
    """Unpack *layers*, from the bottom up, into *target*, a folder that is new or empty.

    Every layer that a file comes from is verified. After an error *target* holds an unfinished tree: remove it, or
    better, extract into staging and rename.

    Raises:
        UsageError: *target* has something in it, or is no folder.
        IntegrityError: a layer is missing, damaged or hostile, or beyond *limits*.
        StoreFull, CacheError: the disk refused.
    """
    tree = merged(layers, blobs, limits)
    nodes = list(tree.walk())
    try:
        _prepare(target)
        writer = _Writer(os.fsencode(target), owners=_may_give_away())
        writer.make_folders(nodes)
        for number, layer in enumerate(layers):
            writer.write_files(layer, blobs, limits, [(path, node) for path, node in nodes if node.layer == number])
        writer.make_links(nodes)
        writer.finish_folders([("", tree.root), *nodes])
    except OSError as exc:
        raise disk_error(exc) from exc
    skipped = sum(node.kind == "other" for _, node in nodes)
    return Extracted(len(nodes) - skipped, writer.size, skipped)


def _prepare(target: Path) -> None:
    if target.is_symlink() or (target.exists() and not (target.is_dir() and not any(target.iterdir()))):
        raise UsageError(f"{target}: expected a new or empty folder to unpack into")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    target.chmod(0o700)


def _may_give_away() -> bool:
    """Whether this process can give files to every owner: root, and not of a user namespace with few users."""
    if os.geteuid() != 0:
        return False
    try:
        mapped = [int(line.split()[2]) for line in Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()]
    except FileNotFoundError:  # a system without user namespaces
        return True
    return sum(mapped) >= _ALL_IDS - 1


class _Writer:
    def __init__(self, target: bytes, *, owners: bool) -> None:
        self._target = target
        self._owners = owners
        self._first: dict[int, bytes] = {}
        self.size = 0

    def make_folders(self, nodes: Iterable[tuple[str, Node]]) -> None:
        for path, node in nodes:
            if node.kind == "directory":
                self._made(path, os.mkdir, self._host(path), 0o700)

    def write_files(self, layer: Layer, blobs: BlobStore, limits: Limits, nodes: list[tuple[str, Node]]) -> None:
        """The files whose content is in *layer*, in the order of the tar, reading it once."""
        files = [(path, node) for path, node in nodes if node.kind == "file"]
        if not files:
            return
        files.sort(key=lambda item: (item[1].offset, item[0]))
        with opened(_best(layer, blobs), blobs, limits) as stream:
            for path, node in files:
                if id(node) not in self._first:
                    self._write_file(path, node, stream, name_of(layer))

    def make_links(self, nodes: Iterable[tuple[str, Node]]) -> None:
        symlinks = []
        for path, node in nodes:
            host = self._host(path)
            if node.kind == "symlink":
                symlinks.append((path, host, node))
            elif node.kind == "file" and (first := self._first[id(node)]) != host:
                self._made(path, os.link, first, host, follow_symlinks=False)
        for path, host, node in symlinks:
            self._made(path, os.symlink, node.target.encode("utf-8", "surrogateescape"), host)
            if self._owners:
                os.chown(host, node.uid, node.gid, follow_symlinks=False)
            os.utime(host, ns=(node.mtime, node.mtime), follow_symlinks=False)

    def finish_folders(self, nodes: Sequence[tuple[str, Node]]) -> None:
        """Owners, modes and times of folders: the deepest first, since they may forbid to change what is below."""
        for path, node in reversed(nodes):
            if node.kind == "directory":
                host = self._host(path)
                if self._owners:
                    os.chown(host, node.uid, node.gid)
                os.utime(host, ns=(node.mtime, node.mtime))
                os.chmod(host, node.mode & 0o1777 | (0 if self._owners else 0o700))

    def _host(self, path: str) -> bytes:
        return self._target + b"/" + path.encode("utf-8", "surrogateescape")

    def _write_file(self, path: str, node: Node, stream: Stream, where: str) -> None:
        host = self._host(path)
        stream.skip(node.offset - stream.position)
        handle: int = self._made(path, os.open, host, _NEW_FILE, 0o600)
        try:
            written = 0
            for piece in stream.pieces(node.size):
                _write_all(handle, piece)
                written += len(piece)
            if written != node.size:
                raise IntegrityError(f"{where}: ends inside {path!r}")
            if self._owners:
                os.chown(handle, node.uid, node.gid)
            os.utime(handle, ns=(node.mtime, node.mtime))
            os.chmod(handle, node.mode & 0o777 | (0 if self._owners else 0o400))
        finally:
            os.close(handle)
        self._first[id(node)] = host
        self.size += node.size

    def _made(self, path: str, make: object, *arguments: object, **named: object) -> int:
        """Call *make*; what is there already was made from this very tree, under a name the disk holds for equal."""
        try:
            return make(*arguments, **named)  # type: ignore[operator, no-any-return]  # os.open, mkdir, link, symlink
        except FileExistsError as exc:
            raise IntegrityError(f"{path!r}: this disk takes two different names of the image for one") from exc


def _write_all(handle: int, data: bytes | memoryview) -> None:
    while data:
        data = memoryview(data)[os.write(handle, data) :]


def _best(layer: Layer, blobs: BlobStore) -> Layer:
    """The uncompressed twin of *layer*, where one is kept already."""
    if layer.media_type == TAR or (size := blobs.size(layer.diff_id)) is None:
        return layer
    return Layer(layer.diff_id, layer.diff_id, size)
