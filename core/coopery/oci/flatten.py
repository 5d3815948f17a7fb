"""A layer stack as one tar: what the image's file system is, with whiteouts applied, for programs that know no layers.

Nothing is unpacked, so nobody needs to be root for owners to be right, and the stream is a function of the layers
alone: paths in order, folders before what is in them, a second name of a file as a hard link to the first. Devices,
FIFOs and extended attributes are left out, as `coopery.oci.extract` leaves them out.

Headers are GNU's: names are bytes there, of any length, where pax wants UTF-8. Source: GNU tar manual, "Basic Tar
Format"; Go's ``archive/tar`` and squashfs-tools read the same.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

from attrs import frozen

from coopery import digest as _digest
from coopery.blobs import BlobStore
from coopery.errors import IntegrityError
from coopery.layer import Layer
from coopery.oci.layer_blob import name_of, plain_blob
from coopery.oci.layers_view import merged
from coopery.oci.limits import DEFAULT, Limits
from coopery.oci.tree import Node, Tree
from coopery.oci.verified import check

BLOCK: Final = 512
_BATCH: Final = 1 << 20
_ZEROS: Final = bytes(BLOCK)
_NOTHING: Final = memoryview(b"")
_FIELDS: Final = struct.Struct("100s 8s 8s 8s 12s 12s 8s c 100s 8s 247x")
_MAGIC: Final = b"ustar  \0"
_LONG: Final = b"././@LongLink"
_TYPES: Final = {"file": b"0", "symlink": b"2", "directory": b"5"}


class Sink(Protocol):
    """What takes the tar: an open file, a pipe's end."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Append all of *data*, or raise."""
        ...


@frozen
class Added:
    """A path of ours in the stream, in place of the image's own, if that has one.

    Attributes:
        path: relative, no leading slash, no symlink of the image on the way to it.
        kind: ``file``, ``directory`` or ``symlink``. A directory is for where the image has nothing: what it has
            there, or above it, stays.
        mode: permission bits.
        content: of a file; of a symlink, its target.
    """

    path: str
    kind: str = "file"
    mode: int = 0o644
    content: bytes = b""


@frozen
class Flattened:
    """What was written: paths, bytes of content, and devices and FIFOs that were left out."""

    paths: int
    size: int
    skipped: int


def flatten(
    layers: Sequence[Layer],
    blobs: BlobStore,
    sink: Sink,
    *,
    added: Sequence[Added] = (),
    below: str = "",
    limits: Limits = DEFAULT,
) -> Flattened:
    """Write the file system that *layers* make, from the bottom up, to *sink* as one tar. Every layer is verified.

    Args:
        layers: from the bottom up.
        blobs: has all of them; a compressed one is decompressed into it first.
        sink: takes the tar; stays open. After an error it holds a part of one, with no end mark.
        added: paths to put on top of all layers; their times are 0 and their owner is 0.
        below: absolute path of a folder, no symlink in it, to write alone, as the root; empty for all.
        limits: bounds for what others made.

    Raises:
        IntegrityError: a layer is missing, damaged or hostile, or something is in the way of *added*, or
            *below* is no folder.
        StoreFull, CacheError: the disk refused.
        OSError: *sink* did.
    """
    tree = merged(layers, blobs, limits)
    contents = _put_on_top(tree, added, len(layers))
    sources = [_Source(layer, blobs, limits) for layer in layers]
    writer = _Writer(sink)
    for path, node in _chosen(tree, below):
        if id(node) in contents:
            content = memoryview(contents[id(node)])
        elif node.kind == "file" and node.size:
            content = sources[node.layer].take(node, path)
        else:
            content = _NOTHING
        writer.add(path, node, content)
    writer.close()
    return Flattened(writer.paths, writer.size, writer.skipped)


def _chosen(tree: Tree, below: str) -> Iterator[tuple[str, Node]]:
    folder = tree.find(below)
    if folder is None or folder.kind != "directory":
        raise IntegrityError(f"{below}: no folder in the image")
    start = below.strip("/") + "/" if below.strip("/") else ""
    return ((path[len(start) :], node) for path, node in tree.walk() if path.startswith(start))


def _put_on_top(tree: Tree, added: Sequence[Added], number: int) -> dict[int, bytes]:
    """Set *added* into *tree*; returns the content of those files, by node."""
    contents: dict[int, bytes] = {}
    for entry in added:
        *above, name = entry.path.split("/")
        folder = tree.root
        for part in above:
            if folder.kind == "directory":
                folder = folder.children.setdefault(part, Node("directory", 0o755, number))
        if entry.kind == "directory" and (folder.kind != "directory" or name in folder.children):
            continue
        if folder.kind != "directory":
            raise IntegrityError(f"/{entry.path}: a folder above it is a {folder.kind} in the image")
        node = Node(entry.kind, entry.mode, number)  # type: ignore[arg-type]  # one of three words, see `Added`
        if entry.kind == "symlink":
            node.target = entry.content.decode()
        else:
            node.size = len(entry.content)
            contents[id(node)] = entry.content
        folder.children[name] = node
    return contents


class _Source:
    """One layer's uncompressed tar, mapped into memory; verified before anything is taken from it."""

    def __init__(self, layer: Layer, blobs: BlobStore, limits: Limits) -> None:
        self._layer = layer
        self._blobs = blobs
        self._limits = limits
        self._view: memoryview | None = None

    def take(self, node: Node, path: str) -> memoryview:
        """The content of *node*, a file of this layer that is not empty."""
        if self._view is None:
            self._view = self._open()
        content = self._view[node.offset : node.offset + node.size]
        if len(content) != node.size:
            raise IntegrityError(f"{name_of(self._layer)}: ends inside {path!r}")
        return content

    def _open(self) -> memoryview:
        path = plain_blob(self._layer, self._blobs, self._limits)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as exc:
            raise IntegrityError(f"{name_of(self._layer)}: its blob is missing") from exc
        with os.fdopen(handle, "rb", buffering=0) as file:
            found = _digest.of_file(file)
            check(name_of(self._layer), "diff id", self._layer.diff_id, found, f"remove {path}; it is made again")
            return memoryview(mmap.mmap(handle, 0, prot=mmap.PROT_READ))  # unmapped when nobody looks at it any more


class _Writer:
    """Gathers what is small, hands on what is large as it is."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._pieces: list[bytes | memoryview] = []
        self._waiting = 0
        self._first: dict[int, bytes] = {}
        self.paths = self.size = self.skipped = 0

    def add(self, path: str, node: Node, content: memoryview) -> None:
        if node.kind == "other":
            self.skipped += 1
            return
        self.paths += 1
        name = path.encode("utf-8", "surrogateescape")
        first = self._first.setdefault(id(node), name) if node.kind == "file" else name
        if first is not name:
            self._put(*_header(name, node, b"1", first, 0))
            return
        if node.kind == "directory":
            name += b"/"
        target = node.target.encode("utf-8", "surrogateescape") if node.kind == "symlink" else b""
        self._put(*_header(name, node, _TYPES[node.kind], target, len(content)))
        if len(content):
            self.size += len(content)
            self._put(content, _ZEROS[: -len(content) % BLOCK])

    def close(self) -> None:
        self._put(_ZEROS, _ZEROS)
        self._flush()

    def _put(self, *pieces: bytes | memoryview) -> None:
        for piece in pieces:
            if len(piece) >= _BATCH:
                self._flush()
                self._sink.write(piece)
            elif piece:
                self._pieces.append(piece)
                self._waiting += len(piece)
        if self._waiting >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._pieces:
            self._sink.write(b"".join(self._pieces))
        self._pieces.clear()
        self._waiting = 0


def _header(name: bytes, node: Node, kind: bytes, target: bytes, size: int) -> Iterator[bytes]:
    """The blocks before the content: one, and two or three more for each name that is too long for its field."""
    for text, flag in ((target, b"K"), (name, b"L")):
        if len(text) > 100:
            yield _block(_LONG, (0o644, 0, 0, len(text) + 1, 0), flag, b"")
            yield text + bytes(BLOCK - len(text) % BLOCK)  # one NUL at least
    time = node.mtime // 1_000_000_000
    yield _block(name[:100], (node.mode, node.uid, node.gid, size, time), kind, target[:100])


def _block(name: bytes, numbers: Iterable[int], kind: bytes, target: bytes) -> bytes:
    mode, uid, gid, size, time = numbers
    fields = (_number(mode, 8), _number(uid, 8), _number(gid, 8), _number(size, 12), _number(time, 12))
    block = _FIELDS.pack(name, *fields, b"        ", kind, target, _MAGIC)
    return b"%b%06o\0 %b" % (block[:148], sum(block), block[156:])


def _number(value: int, width: int) -> bytes:
    """Octal with a NUL behind it; what does not fit, or is negative, in base 256 with the first bit set."""
    digits = width - 1
    if 0 <= value < 8**digits:
        return b"%0*o\0" % (digits, value)
    return (value & ((1 << 8 * width) - 1) | 1 << (8 * width - 1)).to_bytes(width, "big")
