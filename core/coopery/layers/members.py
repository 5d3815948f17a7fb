"""What one tree puts into a layer: its entries, checked, with hard links made independent of the order they came in.

Packages are made by strangers: whatever a path could do to the engine that unpacks it is refused here, by package.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from attrs import evolve, frozen

from coopery.errors import PackageError
from coopery.layer import Entry, Tree
from coopery.layers.header import BLOCK

_KINDS: Final = frozenset({"file", "symlink", "hardlink", "directory"})
_MAX_NAME: Final = 255  # bytes of one component and of a path: what Linux can hold (limits.h, NAME_MAX, PATH_MAX)
_MAX_PATH: Final = 4095

# A component that is empty, "." or "..", or one that engines take for a whiteout; or NUL anywhere.
_WRONG: Final = re.compile(r"(?:^|/)(?:\.{0,2}(?:/|\Z)|\.wh\.)|\0")


@frozen
class Members:
    """The entries of one tree, as a layer will have them.

    Attributes:
        entries: by path; without what was omitted. Parents that the tree does not list are not here.
        listed: every path that the tree yielded, omitted ones too.
        folders: those of them that are directories.
        size: bytes that all its entries take in a tar, omitted ones too, parents and pax records aside. A function of
            the tree alone, so that it may decide an order: see `coopery.layers.order`.
    """

    entries: dict[str, Entry]
    listed: frozenset[str]
    folders: frozenset[str]
    size: int


def members(tree: Tree, omit: Collection[str] = ()) -> Members:
    """Walk *tree* once, without reading contents, leaving out the paths in *omit*.

    Raises:
        PackageError: a path leaves the root, comes twice, is a whiteout or cannot exist on Linux; a hard link to
            nothing; a mode, size or owner out of range.
    """
    found: dict[str, Entry] = {}
    size = 0
    for entry in _walk(tree):
        if problem := _problem(entry):
            raise PackageError(tree.name, f"{entry.path!r}: {problem}")
        if entry.path in found:
            raise PackageError(tree.name, f"{entry.path!r}: comes twice")
        found[entry.path] = entry
        size += BLOCK + (-(-entry.size // BLOCK) * BLOCK if entry.kind == "file" else 0)
    kept = {path: entry for path, entry in found.items() if path not in omit} if omit else dict(found)
    kept.update(_relinked(tree, found, omit))
    folders = frozenset(path for path, entry in found.items() if entry.kind == "directory")
    return Members(kept, frozenset(found), folders, size)


def problem_of(path: str) -> str:
    """Why no layer can have *path*, or nothing."""
    if _WRONG.search(path):
        return "expected a path below the root without '.', '..', empty parts, NUL or whiteouts ('.wh.')"
    return _too_long(path)


def _walk(tree: Tree) -> Iterator[Entry]:
    try:
        yield from tree.entries()
    except OSError as exc:  # or it would pass for an error of the disk that layers are written to
        raise PackageError(tree.name, f"cannot be laid out: {exc}") from exc


def _problem(entry: Entry) -> str:
    """Why *entry* cannot be in a layer, or nothing."""
    if entry.kind not in _KINDS:
        return f"expected a file, symlink, hardlink or directory, got {entry.kind!r}"
    if not 0 <= entry.mode <= 0o7777:
        return f"expected a mode from 0 to 0o7777, got {entry.mode:#o}"
    if entry.size < 0 or not 0 <= entry.uid < 2**32 or not 0 <= entry.gid < 2**32:
        return f"size {entry.size}, uid {entry.uid} or gid {entry.gid} is out of range"
    if entry.kind in ("symlink", "hardlink") and (not entry.target or "\0" in entry.target):
        return f"expected the target of a {entry.kind}, got {entry.target!r}"
    return problem_of(entry.path) or _too_long(entry.target, path=False)


def _too_long(text: str, *, path: bool = True) -> str:
    if text.isascii() and len(text) <= _MAX_NAME:
        return ""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return f"expected UTF-8, got {text!a}"
    if len(data) > _MAX_PATH or (path and max(map(len, data.split(b"/"))) > _MAX_NAME):
        return f"longer than Linux allows: {_MAX_NAME} bytes a name, {_MAX_PATH} a path"
    return ""


def _relinked(tree: Tree, found: dict[str, Entry], omit: Collection[str]) -> Iterable[tuple[str, Entry]]:
    """Hard links again, such that the first name by bytes holds the content and the others link to it.

    A tar's link must come after what it links to, and ours are sorted; a name that is omitted must not take the
    content with it.
    """
    groups: dict[str, list[str]] = {}
    for path, entry in found.items():
        if entry.kind == "hardlink":
            groups.setdefault(_content_of(tree, found, path), []).append(path)
    for root, links in groups.items():
        content = found[root]
        first, *others = sorted(name for name in (root, *links) if name not in omit) or ("",)
        if first:
            yield first, evolve(content, path=first)
        for name in others:
            yield name, evolve(content, path=name, kind="hardlink", target=first, source=b"", size=0)


def _content_of(tree: Tree, found: dict[str, Entry], path: str) -> str:
    seen = {path}
    entry = found[path]
    while entry.kind == "hardlink":
        target = found.get(entry.target)
        if target is None or target.path in seen or target.kind not in ("file", "hardlink"):
            raise PackageError(tree.name, f"{path!r}: hard link to {entry.target!r}, which is no file of this package")
        seen.add(target.path)
        entry = target
    return entry.path
