"""Squashfs 4.0, read only: inodes, folders and contents of a file system that somebody else made.

Source: Linux, fs/squashfs/squashfs_fs.h, inode.c, dir.c, fragment.c, id.c, xattr.c.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO, Final, Literal

from attrs import field, frozen

from coopery.errors import BaseError
from coopery.oci.limits import DEFAULT, Limits
from coopery.sif.blocks import Blocks, Cursor

Kind = Literal["directory", "file", "symlink", "device", "fifo", "socket"]

_SUPERBLOCK: Final = struct.Struct("<IIIIIHHHHHHQQQQQQQQ")
_MAGIC: Final = 0x73717368
_NOTHING: Final = 0xFFFFFFFF
_NO_TABLE: Final = 0xFFFFFFFFFFFFFFFF
_HEAD: Final = struct.Struct("<HHHHII")
_KINDS: Final[tuple[Kind, ...]] = ("directory", "file", "symlink", "device", "device", "fifo", "socket")
_DIRECTORY: Final = struct.Struct("<IIHHI")
_LONG_DIRECTORY: Final = struct.Struct("<IIIIHHI")
_FILE: Final = struct.Struct("<IIII")
_LONG_FILE: Final = struct.Struct("<QQQIIII")
_LINK: Final = struct.Struct("<II")
_RUN: Final = struct.Struct("<IIi")
_ENTRY: Final = struct.Struct("<HhHH")
_FRAGMENT: Final = struct.Struct("<QII")
_XATTRS: Final = struct.Struct("<QII")
_SMALL: Final = struct.Struct("<I")
_LONG: Final = 7
"""Added to the number of a kind for its longer form."""

_PREFIXES: Final = ("user.", "trusted.", "security.")
_ELSEWHERE: Final = 0x100
_MAX_TARGET: Final = 65535
_MAX_VALUE: Final = 65536
_MAX_XATTRS: Final = 1024


@frozen
class Inode:
    """One file, folder or link.

    Attributes:
        kind: what it is.
        mode: permission bits, set-user-ID and sticky ones among them.
        uid, gid: owner.
        mtime: seconds since 1970.
        number: equal for names of one file.
        size: bytes of a file's content, or of a folder's listing.
        target: of a symlink.
        xattrs: place in the table of extended attributes.
    """

    kind: Kind
    mode: int
    uid: int
    gid: int
    mtime: int
    number: int
    size: int = 0
    target: bytes = b""
    xattrs: int = _NOTHING
    _start: int = field(default=0, alias="start", repr=False)
    _inside: int = field(default=0, alias="inside", repr=False)
    _fragment: int = field(default=_NOTHING, alias="fragment", repr=False)
    _sizes: Cursor | None = field(default=None, alias="sizes", repr=False, eq=False)


class Squashfs:
    """The file system in *size* bytes of *file* from *offset* on.

    Args:
        file: holds it; is read while this lives.
        offset: where it begins.
        size: its bytes.
        where: its name, for messages.
        limits: above which it counts as an attack.

    Every method raises IntegrityError for what no squashfs is.

    Raises:
        BaseError: no squashfs 4.0, or one that is compressed in a way that cannot be read here.
    """

    def __init__(self, file: IO[bytes], offset: int, size: int, where: str, limits: Limits = DEFAULT) -> None:
        file.seek(offset)
        head = file.read(min(size, _SUPERBLOCK.size))
        if len(head) < _SUPERBLOCK.size or head[:4] != struct.pack("<I", _MAGIC):
            raise BaseError(f"{where}: no squashfs is where one should be")
        fields = _SUPERBLOCK.unpack(head)
        if fields[9:11] != (4, 0):
            raise BaseError(f"{where}: squashfs {fields[9]}.{fields[10]}; only version 4.0 is read")
        self._block, self._ids = fields[3], fields[8]
        self._root, self._id_table, self._xattr_table = fields[11], fields[13], fields[14]
        self._inodes, self._folders, self._fragments = fields[15], fields[16], fields[17]
        self._fragment_count = fields[4]
        self._limits = limits
        self._last: tuple[int, bytes] = (_NOTHING, b"")
        self._blocks = Blocks(file, offset, size, fields[5], where)
        if self._block not in (1 << log for log in range(12, 21)):
            raise self._blocks.damaged(f"blocks of {self._block} bytes")

    def walk(self) -> Iterator[tuple[bytes, Inode]]:
        """Everything in it: path (relative; empty for the root) and inode, parents first, names in order."""
        pending = [(b"", self._root, frozenset[int]())]
        seen = 0
        while pending:
            path, reference, above = pending.pop()
            inode = self._inode(reference)
            seen += 1
            if seen > self._limits.entries:
                raise self._blocks.damaged(f"more than {self._limits.entries} entries")
            yield path, inode
            if inode.kind == "directory":
                if reference in above:
                    raise self._blocks.damaged("a folder inside itself")
                below = [(name, at, above | {reference}) for name, at in self._listing(inode)]
                pending += [(path + b"/" + name if path else name, at, ids) for name, at, ids in reversed(below)]
            elif not path:
                raise self._blocks.damaged("its root is no folder")

    def content(self, inode: Inode) -> Iterator[bytes]:
        """What is in the file *inode*, piece by piece: as many bytes as its size says."""
        sizes, at, left = inode._sizes, inode._start, inode.size
        whole = left // self._block if inode._fragment != _NOTHING else -(-left // self._block)
        for _ in range(whole if sizes is not None else 0):
            (stored,) = sizes.unpack(_SMALL) if sizes is not None else (0,)
            wanted = min(left, self._block)
            piece = self._blocks.data(at, stored, self._block) if stored else bytes(wanted)
            at += stored & 0xFFFFFF
            if len(piece) != wanted:
                raise self._blocks.damaged(f"a block of {len(piece)} bytes where {wanted} are stated")
            left -= wanted
            yield piece
        if left:
            piece = self._fragment(inode._fragment)[inode._inside : inode._inside + left]
            if len(piece) != left:
                raise self._blocks.damaged("a fragment that is too short")
            yield piece

    def xattrs(self, inode: Inode) -> Iterator[tuple[str, bytes]]:
        """Extended attributes of *inode*: full name and value."""
        if inode.xattrs == _NOTHING or self._xattr_table == _NO_TABLE:
            return
        start, count, _ = struct.unpack("<QII", self._blocks.bytes_at(self._xattr_table, 16))
        if inode.xattrs >= count:
            raise self._blocks.damaged("extended attributes that are not there")
        reference, number, _ = _XATTRS.unpack(self._blocks.pointed(self._xattr_table + 16, inode.xattrs, _XATTRS.size))
        if number > _MAX_XATTRS:
            raise self._blocks.damaged(f"{number} extended attributes of one file")
        cursor = self._cursor(start, reference)
        for _ in range(number):
            kind, size = struct.unpack("<HH", cursor.take(4))
            name = cursor.take(size).decode("utf-8", "surrogateescape")
            value = self._value(cursor)
            if kind & _ELSEWHERE:
                value = self._value(self._cursor(start, int.from_bytes(value[:8], "little")))
            if kind & 0xFF < len(_PREFIXES):
                yield _PREFIXES[kind & 0xFF] + name, value

    def _value(self, cursor: Cursor) -> bytes:
        (size,) = cursor.unpack(_SMALL)
        if size > _MAX_VALUE:
            raise self._blocks.damaged(f"an extended attribute of {size} bytes")
        return cursor.take(size)

    def _cursor(self, table: int, reference: int) -> Cursor:
        return Cursor(self._blocks, table + (reference >> 16), reference & 0xFFFF)

    def _inode(self, reference: int) -> Inode:
        cursor = self._cursor(self._inodes, reference)
        number, mode, uid, gid, mtime, inode = cursor.unpack(_HEAD)
        long = number > _LONG
        plain = number - (_LONG if long else 0)
        if not 1 <= plain <= len(_KINDS):
            raise self._blocks.damaged(f"an inode of kind {number}")
        kind = _KINDS[plain - 1]
        common = (mode & 0o7777, self._id(uid), self._id(gid), mtime, inode)
        if kind == "directory":
            return self._directory(cursor, common, long=long)
        if kind == "file":
            return self._file(cursor, common, long=long)
        if kind == "symlink":
            _, size = cursor.unpack(_LINK)
            if not 0 < size <= _MAX_TARGET:
                raise self._blocks.damaged(f"a link of {size} bytes")
            return Inode(kind, *common, target=cursor.take(size))
        return Inode(kind, *common)

    def _directory(self, cursor: Cursor, common: tuple[int, int, int, int, int], *, long: bool) -> Inode:
        if long:
            _, size, start, _, _, inside, xattrs = cursor.unpack(_LONG_DIRECTORY)
        else:
            start, _, size, inside, _ = cursor.unpack(_DIRECTORY)
            xattrs = _NOTHING
        return Inode("directory", *common, size=size, xattrs=xattrs, start=start, inside=inside)

    def _file(self, cursor: Cursor, common: tuple[int, int, int, int, int], *, long: bool) -> Inode:
        xattrs = _NOTHING
        if long:
            start, size, _, _, fragment, inside, xattrs = cursor.unpack(_LONG_FILE)
        else:
            start, fragment, inside, size = cursor.unpack(_FILE)
        return Inode(
            "file", *common, size=size, xattrs=xattrs, start=start, inside=inside, fragment=fragment, sizes=cursor
        )

    def _listing(self, folder: Inode) -> Iterator[tuple[bytes, int]]:
        """Names in *folder*, in order, each once, and references to their inodes."""
        left = folder.size - 3  # the format counts ``.`` and ``..``
        cursor = Cursor(self._blocks, self._folders + folder._start, folder._inside)
        before = b""
        while left > 0:
            count, start, _ = cursor.unpack(_RUN)
            left -= _RUN.size
            if count >= 256:
                raise self._blocks.damaged(f"{count} names in one run")
            for _ in range(count + 1):
                inside, _, _, size = cursor.unpack(_ENTRY)
                name = cursor.take(size + 1)
                left -= _ENTRY.size + len(name)
                if name in (b".", b"..") or b"/" in name or b"\0" in name or len(name) > 256 or name <= before:
                    raise self._blocks.damaged(f"{name[:80]!r}, which no name in a folder is")
                before = name
                yield name, start << 16 | inside

    def _id(self, index: int) -> int:
        if index >= self._ids:
            raise self._blocks.damaged("an owner that is not there")
        return int.from_bytes(self._blocks.pointed(self._id_table, index, 4), "little")

    def _fragment(self, index: int) -> bytes:
        if index >= self._fragment_count:
            raise self._blocks.damaged("a fragment that is not there")
        if self._last[0] != index:
            start, stored, _ = _FRAGMENT.unpack(self._blocks.pointed(self._fragments, index, _FRAGMENT.size))
            self._last = index, self._blocks.data(start, stored, self._block)
        return self._last[1]
