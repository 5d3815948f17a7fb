"""Sight of an unpacked image. No symlink is followed, so nothing of this machine is seen."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from attrs import frozen

from coopery.files import Stat


@frozen
class FolderFiles:
    """`coopery.files.Files` over the folder *root*."""

    root: Path

    def lstat(self, path: str) -> Stat | None:
        """See `coopery.files.Files.lstat`."""
        names = path.strip("/").split("/")
        if any(self._at(names[:count]).is_symlink() for count in range(1, len(names))):
            return None
        try:
            found = self._at(names).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        mode, ids = stat.S_IMODE(found.st_mode), (found.st_uid, found.st_gid)
        if stat.S_ISLNK(found.st_mode):
            return Stat("symlink", mode, *ids, target=os.readlink(self._at(names)))
        if stat.S_ISDIR(found.st_mode):
            return Stat("directory", mode, *ids)
        return Stat("file" if stat.S_ISREG(found.st_mode) else "other", mode, *ids, size=found.st_size)

    def listdir(self, path: str) -> tuple[str, ...]:
        """See `coopery.files.Files.listdir`."""
        found = self.lstat(path)
        is_folder = found is not None and found.kind == "directory"
        return tuple(sorted(os.listdir(self._at([path.strip("/")])))) if is_folder else ()

    def read(self, path: str, limit: int) -> bytes:
        """See `coopery.files.Files.read`."""
        found = self.lstat(path)
        if found is None or found.kind != "file":
            raise FileNotFoundError(path)
        with self._at([path.strip("/")]).open("rb") as file:
            return file.read(limit)

    def _at(self, names: list[str]) -> Path:
        return self.root.joinpath(*names)
