"""Images as plain values: what facts are read from, without any image."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from attrs import field, frozen

from coopery.files import Stat

Content = bytes | str | None | Stat
"""A file's bytes; a symlink's text; None for a folder; or what lstat answers, for anything else."""


@frozen
class DictFiles:
    """`coopery.files.Files` over a mapping; folders above each path are there."""

    paths: Mapping[str, Content]
    reads: list[tuple[str, int]] = field(factory=list)

    def lstat(self, path: str) -> Stat | None:
        content = self.paths.get(path, self)
        if isinstance(content, Stat):
            return content
        if isinstance(content, bytes):
            return Stat("file", 0o755, size=len(content))
        if isinstance(content, str):
            return Stat("symlink", 0o777, target=content)
        return Stat("directory", 0o755) if content is None or self.listdir(path) or path == "/" else None

    def listdir(self, path: str) -> tuple[str, ...]:
        top = path.rstrip("/") + "/"
        return tuple(sorted({name[len(top) :].partition("/")[0] for name in self.paths if name.startswith(top)}))

    def read(self, path: str, limit: int) -> bytes:
        content = self.paths.get(path)
        if not isinstance(content, bytes):
            raise FileNotFoundError(path)
        self.reads.append((path, limit))
        return content[:limit]


@pytest.fixture
def image() -> Callable[[Mapping[str, Content]], DictFiles]:
    return DictFiles
