"""Sight of an image's files over its layers' blobs, with nothing unpacked: what a base's facts are read from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

from coopery import digest as _digest
from coopery.blobs import BlobStore
from coopery.errors import IntegrityError
from coopery.files import Stat
from coopery.layer import Layer
from coopery.oci.layer_blob import name_of, plain_blob
from coopery.oci.layer_index import members_of
from coopery.oci.limits import DEFAULT, Limits
from coopery.oci.tree import Node, Tree
from coopery.oci.verified import check

_KINDS: Final[dict[str, Literal["file", "directory", "symlink"]]] = {
    "file": "file",
    "directory": "directory",
    "symlink": "symlink",
}


def merged(layers: Sequence[Layer], blobs: BlobStore, limits: Limits = DEFAULT) -> Tree:
    """The file system that *layers*, from the bottom up, make together.

    Raises:
        IntegrityError: a blob is missing or damaged, hostile, or beyond *limits*.
    """
    tree = Tree(limits)
    for layer in layers:
        tree.apply(members_of(layer, blobs, limits), name_of(layer))
    return tree


class LayersFiles:
    """`coopery.files.Files` over *layers*, from the bottom up. Costs nothing until it is first asked.

    Every method raises IntegrityError when a layer turns out to be missing, damaged, hostile or beyond *limits*.
    """

    def __init__(self, layers: Sequence[Layer], blobs: BlobStore, limits: Limits = DEFAULT) -> None:
        self._layers = tuple(layers)
        self._blobs = blobs
        self._limits = limits
        self._verified: dict[int, Path] = {}

    def lstat(self, path: str) -> Stat | None:
        """What is at *path*; None when nothing is."""
        node = self._tree.find(path)
        if node is None:
            return None
        return Stat(_KINDS.get(node.kind, "other"), node.mode, node.uid, node.gid, node.size, node.target)

    def listdir(self, path: str) -> tuple[str, ...]:
        """Names in the folder at *path*, sorted; empty when it is no folder."""
        node = self._tree.find(path)
        return tuple(sorted(node.children)) if node is not None else ()

    def read(self, path: str, limit: int) -> bytes:
        """The first *limit* bytes of the regular file at *path*.

        Raises:
            FileNotFoundError: no regular file is there.
        """
        node = self._tree.find(path)
        if node is None or node.kind != "file":
            raise FileNotFoundError(f"{path}: no regular file in the image")
        return self._content(node, min(limit, node.size))

    @cached_property
    def _tree(self) -> Tree:
        return merged(self._layers, self._blobs, self._limits)

    def _content(self, node: Node, size: int) -> bytes:
        try:
            with self._plain(node.layer).open("rb", buffering=0) as file:
                return os.pread(file.fileno(), size, node.offset)
        except FileNotFoundError as exc:
            raise IntegrityError(f"{name_of(self._layers[node.layer])}: its blob is missing") from exc

    def _plain(self, number: int) -> Path:
        """The layer's uncompressed tar, verified once in the life of this object."""
        if number not in self._verified:
            layer = self._layers[number]
            path = plain_blob(layer, self._blobs, self._limits)
            with path.open("rb") as file:
                found = _digest.of_file(file)
            check(name_of(layer), "diff id", layer.diff_id, found, f"remove {path}; it is fetched or made again")
            self._verified[number] = path
        return self._verified[number]
