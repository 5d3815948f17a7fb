"""What a ``copy`` step puts into a layer: sealed content below ``to``, through the image's symlinks, as ``cp`` would.

A folder's content goes below ``to``; a file becomes ``to``, or goes below it where ``to`` ends in ``/``. Folders of
the image keep their mode and owner; new ones are 0755, those above ``to`` root's, the rest the step's owner's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import frozen

from coopery.definition import CopyStep
from coopery.errors import StepError
from coopery.facts import Found, Obstacle, follow
from coopery.files import Files
from coopery.layer import Entry
from coopery.snapshots.users import UnknownUser, owner
from coopery.target import DIRECTORY_MODE
from coopery.tree import Node


def entries(files: Files, step: CopyStep, nodes: Sequence[Node], place: str) -> tuple[Entry, ...]:
    """The entries of the layer, each path once, parents included.

    Args:
        files: the image before the step.
        step: the step.
        nodes: its content, as `coopery.seal.recheck` returns it: paths relative to ``to``.
        place: field path of the step, for messages.

    Raises:
        StepError: something in the image is in the way, or it lacks the owner.
    """
    try:
        uid, gid = owner(files, step.owner)
    except UnknownUser as exc:
        raise StepError(f"{place}.owner: {exc}", remedy="write numbers, as in 1000:1000") from exc
    copy = _Copy(files, step, place, uid, gid)
    made: dict[str, Entry] = {}
    for node in nodes:
        for entry in copy.lay(node):
            made.setdefault(entry.path, entry)
    return tuple(made[path] for path in sorted(made))


def folder_entries(files: Files, path: str, place: str) -> tuple[Entry, ...]:
    """Entries that make the folder *path* and what is missing above it; none where it is there already.

    Raises:
        StepError: something that is no folder is in the way.
    """
    found = _followed(files, path, place)
    if found.stat is not None:
        if found.stat.kind != "directory":
            raise StepError(f"{place}: {path} is a {found.stat.kind} in the image, no folder")
        return ()
    return (*parents(files, found.path, (0, 0)), _folder(found.path, 0, 0))


def parents(files: Files, path: str, new: tuple[int, int]) -> Iterator[Entry]:
    """Every folder above *path* (no symlinks in it), as the image has it; new ones belong to *new*."""
    names = path.strip("/").split("/")
    for count in range(1, len(names)):
        above = "/" + "/".join(names[:count])
        stat = files.lstat(above)
        if stat is None:
            yield _folder(above, *new)
        else:
            yield Entry(above[1:], "directory", stat.mode & 0o7777, uid=stat.uid, gid=stat.gid)


@frozen
class _Copy:
    """One copy step in progress."""

    files: Files
    step: CopyStep
    place: str
    uid: int
    gid: int

    def lay(self, node: Node) -> Iterator[Entry]:
        written = f"{self.step.to.rstrip('/')}/{node.path}".rstrip("/")
        if node.kind == "directory":
            yield from self._lay_folder(written or "/")
        else:
            folder, _, name = written.rpartition("/")
            above = self._folder_at(folder or "/")
            yield from self._above(f"{above.path.rstrip('/')}/{name}")
            yield self._leaf(node, f"{above.path.rstrip('/')}/{name}")

    def _lay_folder(self, written: str) -> Iterator[Entry]:
        found = self._folder_at(written)
        if found.path == "/":
            return
        yield from self._above(found.path)
        if found.stat is None:
            yield _folder(found.path, self.uid, self.gid)
        else:
            stat = found.stat
            yield Entry(found.path[1:], "directory", stat.mode & 0o7777, uid=stat.uid, gid=stat.gid)

    def _above(self, path: str) -> Iterator[Entry]:
        """Parents; those below ``to`` that are new belong to the step's owner, as what they hold does."""
        top = self.step.to.rstrip("/")
        for entry in parents(self.files, path, (0, 0)):
            inner = f"/{entry.path}".startswith(f"{top}/") and self.files.lstat(f"/{entry.path}") is None
            yield _folder(f"/{entry.path}", self.uid, self.gid) if inner else entry

    def _folder_at(self, written: str) -> Found:
        found = _followed(self.files, written, self.place)
        if found.stat is not None and found.stat.kind != "directory":
            raise self._in_the_way(written, f"is a {found.stat.kind}, and a folder is needed")
        return found

    def _leaf(self, node: Node, path: str) -> Entry:
        stat = self.files.lstat(path)
        if stat is not None and stat.kind == "directory":
            raise self._in_the_way(path, "is a folder, and a file would replace all of it: end `to` with a '/'")
        if node.kind == "symlink":
            return Entry(path[1:], "symlink", 0o777, node.target, uid=self.uid, gid=self.gid)
        mode = self.step.mode if self.step.mode is not None else 0o755 if node.executable else 0o644
        return Entry(path[1:], "file", mode, source=Path(node.source), size=node.size, uid=self.uid, gid=self.gid)

    def _in_the_way(self, path: str, what: str) -> StepError:
        return StepError(f"{self.place}.to: in the image, {path} {what}")


def _followed(files: Files, path: str, place: str) -> Found:
    try:
        found = follow(files, path)
    except Obstacle as exc:
        raise StepError(f"{place}: {path} cannot be reached in the image: {exc}") from exc
    if found.dangling:
        message = f"{place}: {path}: in the image, the symlink {found.dangling} names {found.path}, which is missing"
        raise StepError(message)
    return found


def _folder(path: str, uid: int, gid: int) -> Entry:
    return Entry(path[1:], "directory", DIRECTORY_MODE, uid=uid, gid=gid)
