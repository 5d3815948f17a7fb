"""Read-only sight of a file system inside an image: what facts are read from, whatever engine holds it."""

from __future__ import annotations

from typing import Literal, Protocol

from attrs import frozen


@frozen
class Stat:
    """One path, not followed. ``target`` is a symlink's text."""

    kind: Literal["file", "directory", "symlink", "other"]
    mode: int
    uid: int = 0
    gid: int = 0
    size: int = 0
    target: str = ""


class Files(Protocol):
    """All paths are absolute inside the image, with no symlink followed; `coopery.facts` follows them itself."""

    def lstat(self, path: str) -> Stat | None:
        """What is at *path*; None when nothing is."""
        ...

    def listdir(self, path: str) -> tuple[str, ...]:
        """Names in the folder at *path*, sorted; empty when it is no folder."""
        ...

    def read(self, path: str, limit: int) -> bytes:
        """The first *limit* bytes of the regular file at *path*.

        Raises:
            FileNotFoundError: no regular file is there.
        """
        ...
