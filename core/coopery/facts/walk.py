"""Following symlinks inside an image: rooted at its ``/``, bounded, never on the host.

Source: Linux path_resolution(7): ``..`` of the root is the root, and at most 40 links are followed.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from coopery.files import Files, Stat

MAX_LINKS: Final = 40
_MAX_COMPONENTS: Final = 4096


class Obstacle(Exception):  # noqa: N818 - says what is in the way; callers turn it into their own error
    """A path that cannot be followed to its end: a loop of links, or something that is no folder in the middle."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}")


@frozen
class Found:
    """Where a path really leads.

    Attributes:
        path: absolute, without symlinks; what is missing of it is appended as written.
        stat: what is there; None when nothing is.
        dangling: the symlink whose text names something that is missing, or empty.
        escaping: the symlink whose ``..`` climb above ``/`` (where the kernel stops at ``/``), or empty.
    """

    path: str
    stat: Stat | None
    dangling: str = ""
    escaping: str = ""


def follow(files: Files, path: str) -> Found:
    """Follow *path*, its last component included.

    Args:
        files: the image.
        path: absolute.

    Raises:
        Obstacle: more than 40 links, or a component in the middle is no folder.
    """
    walk = _Walk(files)
    walk.push(path, link="")
    while walk.pending:
        walk.step()
    where = walk.where()
    return Found(where, files.lstat(where) if not walk.missing else None, walk.dangling, walk.escaping)


def find(files: Files, path: str) -> Found | None:
    """`follow` for those who only ask whether something is there: None when nothing is, or the way is blocked."""
    try:
        found = follow(files, path)
    except Obstacle:
        return None
    return found if found.stat is not None else None


class _Walk:
    """The state of one walk: ``pending`` holds (component, link that it was written in or ''), next one last."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._names: list[str] = []
        self._links = 0
        self.pending: list[tuple[str, str]] = []
        self.missing = False
        self.dangling = ""
        self.escaping = ""

    def where(self) -> str:
        return "/" + "/".join(self._names)

    def push(self, text: str, link: str) -> None:
        names = [name for name in text.split("/") if name not in ("", ".")]
        if len(names) + len(self.pending) > _MAX_COMPONENTS:
            raise Obstacle(link or text[:80], "the path is too long")
        self.pending.extend((name, link) for name in reversed(names))

    def step(self) -> None:
        name, link = self.pending.pop()
        if name == "..":
            if not self._names:
                self.escaping = self.escaping or link
            self._names[-1:] = []
            return
        self._names.append(name)
        if not self.missing:
            self._enter(link)

    def _enter(self, link: str) -> None:
        here = self.where()
        stat = self._files.lstat(here)
        if stat is None:
            self.missing = True
            self.dangling = link
        elif stat.kind == "symlink":
            self._expand(here, stat.target)
        elif stat.kind != "directory" and self.pending:
            raise Obstacle(here, f"a folder is needed here, and it is a {word(stat)}")

    def _expand(self, here: str, target: str) -> None:
        self._links += 1
        if self._links > MAX_LINKS:
            raise Obstacle(here, f"more than {MAX_LINKS} symlinks, which is a loop")
        self._names[:] = [] if target.startswith("/") else self._names[:-1]
        self.push(target, link=here)


def word(stat: Stat) -> str:
    """What *stat* is, for people."""
    return "special file" if stat.kind == "other" else stat.kind
