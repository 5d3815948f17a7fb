"""Layers put one upon the other, in memory: what the file system of an image is, by one set of rules for all readers.

Source: OCI image spec v1.1, layer.md, "Applying Changesets" and "Whiteouts". Where the spec is silent:

- A folder entry replaces a symlink of a lower layer, as Docker and Podman have it, and so does a folder that is only
  implied by a path below it.
- A path that passes a symlink of its *own* layer follows it, inside the root, as engines do.
- Nothing is ever outside the root: ``..`` at the top stays at the top.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NoReturn

from coopery.errors import IntegrityError
from coopery.oci.limits import DEFAULT, Limits
from coopery.oci.tar import Kind, Member

WHITEOUT: Final = ".wh."
OPAQUE: Final = ".wh..wh..opq"
_AUFS: Final = ".wh..wh."
_MAX_HOPS: Final = 40  # as Linux: path_resolution(7)


class Node:
    """One inode. Hard links are one node under several names.

    Attributes:
        kind, mode, uid, gid, size, mtime, target, offset: as in `coopery.oci.tar.Member`; never ``hardlink``.
        layer: position of the layer that it came from.
        children: of a folder, by name.
    """

    __slots__ = ("children", "gid", "kind", "layer", "mode", "mtime", "offset", "size", "target", "uid")

    def __init__(self, kind: Kind, mode: int, layer: int, member: Member | None = None) -> None:
        self.kind = kind
        self.mode = mode
        self.layer = layer
        self.uid = self.gid = self.size = self.mtime = self.offset = 0
        self.target = ""
        self.children: dict[str, Node] = {} if kind == "directory" else _NONE
        if member is not None:
            self.uid, self.gid, self.size = member.uid, member.gid, member.size
            self.mtime, self.target, self.offset = member.mtime, member.target, member.offset


_NONE: Final[dict[str, Node]] = {}  # one for all that are no folders; nothing is ever put into it


class Tree:
    """The merged file system. Apply layers from the bottom up."""

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self.root = Node("directory", 0o755, 0)
        self._limits = limits
        self._count = 0
        self._layer = -1
        self._where = ""
        self._folders: dict[str, Node] = {}

    def apply(self, members: Sequence[Member], where: str) -> None:
        """Put one layer on top. *where* names it in messages.

        Raises:
            IntegrityError: a malformed whiteout, a path below a file, a hard link to nothing, or too much of it.
        """
        self._layer += 1
        self._where = where
        self._folders = {}
        whiteouts, entries = self._split(members)
        for member in whiteouts:  # first, wherever they stand: they speak of lower layers only
            self._hide(member)
        for member in entries:
            self._add(member)

    def find(self, path: str) -> Node | None:
        """What is at the absolute *path*; no symlink is followed."""
        node = self.root
        for part in path.split("/"):
            if part in ("", "."):
                continue
            child = node.children.get(part)
            if child is None:
                return None
            node = child
        return node

    def walk(self) -> Iterator[tuple[str, Node]]:
        """Every path but the root, relative, folders before what is in them, names in order."""
        stack = [("", self.root)]
        while stack:
            path, node = stack.pop()
            if path:
                yield path, node
            prefix = path + "/" if path else ""
            stack.extend((prefix + name, child) for name, child in sorted(node.children.items(), reverse=True))

    def _fail(self, path: str, reason: str) -> NoReturn:
        raise IntegrityError(f"{self._where}: {path!r}: {reason}")

    def _split(self, members: Sequence[Member]) -> tuple[list[Member], list[Member]]:
        whiteouts, entries = [], []
        for member in members:
            if WHITEOUT not in member.path:
                entries.append(member)
                continue
            folder, _, name = member.path.rpartition("/")
            if folder.startswith(WHITEOUT) or "/" + WHITEOUT in folder:
                self._fail(member.path, "a whiteout has nothing below it")
            if not name.startswith(WHITEOUT):
                entries.append(member)
            elif name == OPAQUE or not name.startswith(_AUFS):  # the others are AUFS's own bookkeeping
                whiteouts.append(member)
        return whiteouts, entries

    def _hide(self, member: Member) -> None:
        folder, _, name = member.path.rpartition("/")
        hidden = name.removeprefix(WHITEOUT)
        if member.kind not in ("file", "hardlink") or hidden in ("", ".", ".."):
            self._fail(member.path, "a malformed whiteout")
        parent = self.find(folder)
        if parent is None:
            return
        if name == OPAQUE:
            parent.children.clear()
        else:
            parent.children.pop(hidden, None)

    def _add(self, member: Member) -> None:
        folder, _, name = member.path.rpartition("/")
        if not name:
            self._describe_root(member)
            return
        parent = self._folders.get(folder) or self._folder(folder, member.path)
        present = parent.children.get(name)
        if member.kind == "hardlink":
            node = self._linked(member)
        else:
            node = Node(member.kind, member.mode, self._layer, member)
            self._spend(member.path)
        if present is not None and present.kind in ("directory", "symlink"):
            if present.kind == node.kind == "directory":
                node.children = present.children
            self._folders.clear()
        parent.children[name] = node

    def _describe_root(self, member: Member) -> None:
        if member.kind != "directory":
            self._fail(member.path, "the root is a folder")
        children = self.root.children
        self.root = Node("directory", member.mode, self._layer, member)
        self.root.children = children
        self._folders.clear()

    def _linked(self, member: Member) -> Node:
        folder, _, name = member.target.rpartition("/")
        parent = self._resolve(folder, member.path, create=False)
        node = parent.children.get(name) if parent is not None else None
        if node is None or node.kind == "directory":
            self._fail(member.path, f"a hard link to {member.target!r}, where no file is")
        return node

    def _folder(self, path: str, needed_by: str) -> Node:
        node = self._resolve(path, needed_by, create=True)
        if node is None:
            self._fail(needed_by, "a folder above it is a file")
        self._folders[path] = node
        return node

    def _resolve(self, path: str, needed_by: str, *, create: bool) -> Node | None:
        """The folder at *path*, symlinks of this layer followed; made where it is absent, if *create* is true."""
        trail = [self.root]
        todo = path.split("/")[::-1]
        hops = 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                del trail[max(1, len(trail) - 1) :]
                continue
            child = trail[-1].children.get(part)
            if child is not None and child.kind == "symlink" and child.layer == self._layer:
                hops += 1
                if hops > _MAX_HOPS:
                    self._fail(needed_by, f"more than {_MAX_HOPS} symlinks on the way")
                if child.target.startswith("/"):
                    del trail[1:]
                todo.extend(child.target.split("/")[::-1])
                continue
            if child is None or child.kind != "directory":
                if not create or (child is not None and child.layer == self._layer):
                    return None
                child = self._implied(trail[-1], part, needed_by)
            trail.append(child)
        return trail[-1]

    def _implied(self, parent: Node, name: str, needed_by: str) -> Node:
        self._spend(needed_by)
        self._folders.clear()
        node = parent.children[name] = Node("directory", 0o755, self._layer)
        return node

    def _spend(self, path: str) -> None:
        self._count += 1
        if self._count > self._limits.entries:
            self._fail(path, f"more than {self._limits.entries} files and folders")
