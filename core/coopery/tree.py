"""Files and folders on the host, by name and content: what a ``copy`` step takes, and what a build context sends.

A tree's digest covers names, contents, link texts and whether the owner may execute a file. It does not cover
times, owners, other mode bits, or where the folder is. No symlink is ever followed below the top.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Literal

from attrs import field, frozen

from coopery import encoding
from coopery.digest import Digest
from coopery.errors import IntegrityError

TAG: Final = "coopery.tree.v1"
_SMALL: Final = 1 << 17


class TreeError(ValueError):
    """One path cannot be part of a tree. ``path`` is the host's."""

    def __init__(self, path: str, message: str) -> None:
        self.path = path
        super().__init__(f"{path}: {message}")


@frozen
class Node:
    """One path of a tree.

    Attributes:
        path: relative to the top, ``/`` between names; empty for the top itself.
        kind: what it is.
        source: absolute path on the host.
        executable: of a file: whether its owner may execute it.
        target: of a symlink: its text.
        size: of a file: bytes.
        sha256: of a file: 64 hexadecimal digits of its content.
    """

    path: str
    kind: Literal["directory", "file", "symlink"]
    source: str = field(eq=False)
    executable: bool = False
    target: str = ""
    size: int = 0
    sha256: str = ""

    def identity(self) -> list[Any]:
        """What counts of it."""
        if self.kind == "file":
            return [self.path, self.kind, self.executable, self.sha256]
        return [self.path, self.kind, self.target] if self.kind == "symlink" else [self.path, self.kind]


def digest_of(nodes: tuple[Node, ...], *head: str, tag: str = TAG) -> Digest:
    """Digest of a whole tree, as `read` returns it, behind the strings of *head*."""
    return Digest("sha256:" + encoding.digest(tag, *head, *(node.identity() for node in nodes)))


def read(top: Path, excludes: Callable[[str], bool] | None = None, *, enter_excluded: bool = False) -> tuple[Node, ...]:
    """Every path below *top*, itself included, sorted by the bytes of the path; the contents are hashed.

    Args:
        top: a file or a folder.
        excludes: says of a relative path whether to leave it out.
        enter_excluded: look inside excluded folders too, since something in them may be wanted.

    Raises:
        TreeError: something is neither file, folder nor symlink, cannot be read, or has a name outside UTF-8.
        IntegrityError: a file changed while it was read.
    """
    wanted: dict[str, Node] = {}
    bare: dict[str, Node] = {}
    for node, skipped in _walk(top, excludes or _nothing, enter_excluded):
        (bare if skipped else wanted)[node.path] = node
    if bare:
        wanted |= {path: bare[path] for path in _above(wanted) if path in bare}
    return tuple(wanted[path] for path in sorted(wanted))


def leaves(node: Node) -> bool:
    """Whether a symlink's relative text leads out of the tree. An absolute one names a path in the image."""
    if node.kind != "symlink" or node.target.startswith("/"):
        return False
    depth = node.path.count("/")
    for part in node.target.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            return True
    return False


def hash_file(path: str | Path) -> tuple[os.stat_result, str]:
    """Status and sha256 of the regular file at *path*; a symlink is not followed, a pipe never waited for.

    Raises:
        TreeError: it is no regular file, or cannot be read.
        IntegrityError: it changed while it was read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise TreeError(str(path), f"expected a file, got {_kind_of(before.st_mode)}")
            size, content = _hash(descriptor, before.st_size)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    except OSError as exc:
        raise TreeError(str(path), _reason(exc)) from exc
    if (before.st_size, before.st_mtime_ns) != (size, after.st_mtime_ns):
        raise IntegrityError(f"{path}: it changed while it was read", remedy="try again when nothing writes to it")
    return after, content


def _hash(descriptor: int, size: int) -> tuple[int, str]:
    """Bytes read and their sha256. Small files in one piece: a buffer for each would cost more than they do."""
    if size < _SMALL:
        data = os.read(descriptor, _SMALL)
        return len(data), hashlib.sha256(data).hexdigest()
    with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as stream:
        content = hashlib.file_digest(stream, "sha256").hexdigest()
        return stream.tell(), content


def _walk(top: Path, excludes: Callable[[str], bool], enter_excluded: bool) -> Iterator[tuple[Node, bool]]:
    """All nodes, in no order, and whether each was excluded, which only folders can be here.

    A list of folders rather than recursion: they may be as deep as they like.
    """
    waiting = [("", str(top))]
    while waiting:
        path, source = waiting.pop()
        skipped = bool(path) and excludes(path)
        if skipped and not enter_excluded:
            continue
        try:
            mode = os.lstat(source).st_mode
            if stat.S_ISDIR(mode):
                yield Node(path, "directory", source), skipped
                for name in os.listdir(source):
                    inner = text(name, source)
                    waiting.append((f"{path}/{inner}" if path else inner, f"{source}/{name}"))
            elif not skipped:
                yield _leaf(path, source, mode), False
        except OSError as exc:
            raise TreeError(source, _reason(exc)) from exc


def _leaf(path: str, source: str, mode: int) -> Node:
    if stat.S_ISLNK(mode):
        return Node(path, "symlink", source, target=text(os.readlink(source), source))
    if not stat.S_ISREG(mode):
        raise TreeError(source, f"expected a file, folder or symlink, got {_kind_of(mode)}")
    status, content = hash_file(source)
    executable = bool(status.st_mode & stat.S_IXUSR)
    return Node(path, "file", source, executable, size=status.st_size, sha256=content)


def text(name: str, where: str) -> str:
    """*name*, which Python decoded by the locale, as the UTF-8 that its bytes are: a key knows no locale."""
    try:
        return os.fsencode(name).decode()
    except UnicodeDecodeError as exc:
        raise TreeError(ascii(f"{where}/{name}"), "expected a name that is valid in UTF-8: rename it") from exc


def _above(paths: Iterable[str]) -> set[str]:
    """Every folder above one of *paths*, the top left out."""
    return {path[:at] for path in paths for at, char in enumerate(path) if char == "/"}


def _nothing(path: str) -> bool:  # noqa: ARG001 - the signature of an exclusion test
    return False


def _kind_of(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFLNK: "a symlink",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
    }
    return kinds.get(stat.S_IFMT(mode), "a device")


def _reason(exc: OSError) -> str:
    if exc.errno == errno.ENOENT:
        return "nothing is there"
    if exc.errno == errno.ELOOP:
        return "expected a file, got a symlink"
    return f"it cannot be read: {exc.strerror}"
