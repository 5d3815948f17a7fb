"""What one row of a package has in it: read from the extracted package, checked, with the prefix replaced.

Rows and archives are written by strangers, together: no row may lead, through a link, to a file of this machine.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Final, Literal

from attrs import evolve, field, frozen

from coopery_conda.package import Package, Row
from coopery_conda.placeholder import replace_binary, replace_text

_PERMISSIONS: Final = 0o777
"""A package's permission bits stay; set-user-id, set-group-id and sticky go, as in every conda client."""

_DIRECTORY_MODE: Final = 0o755
_LINK_MODE: Final = 0o777


@frozen
class Content:
    """A path as it will be in the image.

    Attributes:
        kind: ``file``, ``symlink`` or ``directory``.
        mode: permission bits.
        target: of a symlink, as it stands.
        source: of a file: where its bytes are, or they themselves where the prefix was replaced.
        size: of *source* in bytes.
        sha256_in_prefix: of *source*, where the package does not state it; else empty.
    """

    kind: Literal["file", "symlink", "directory"]
    mode: int
    target: str = ""
    source: Path | bytes = b""
    size: int = 0
    sha256_in_prefix: str = ""


@frozen
class Reader:
    """Reads rows of *package* for *prefix*.

    Attributes:
        package: as extracted.
        prefix: replaces placeholders.
        verify: compare files with the sha256 that their rows state.
    """

    package: Package
    prefix: str
    verify: bool = False
    _folders: set[str] = field(factory=set, eq=False, repr=False)

    def read(self, row: Row) -> Content:
        """What *row* has in it.

        Raises:
            DamagedError: it is not there, or not what it was.
            PackageError: it lies behind a link, is neither a file nor a link, or has no room for the prefix.
        """
        if row.kind == "directory":
            return Content("directory", _DIRECTORY_MODE)
        path = f"{self.package.folder}/{row.path}"
        status = self._status(path, row)
        if stat.S_ISLNK(status.st_mode):
            return Content("symlink", _LINK_MODE, target=os.readlink(path))
        source = Path(path)
        if self.verify and row.sha256:
            self._check(row, source)
        content = Content("file", status.st_mode & _PERMISSIONS, source=source, size=status.st_size)
        return content if row.sha256 and not row.placeholder else self._replaced(content, row, source.read_bytes())

    def _replaced(self, content: Content, row: Row, old: bytes) -> Content:
        if not row.placeholder:  # of a package from before hashes were listed
            return evolve(content, sha256_in_prefix=hashlib.sha256(old).hexdigest())
        try:
            new = (replace_binary if row.binary else replace_text)(old, row.placeholder, self.prefix)
        except ValueError as exc:
            raise self.package.error(f"{row.path!r}: {exc}", "choose a shorter $.prefix") from exc
        return evolve(content, source=new, size=len(new), sha256_in_prefix=hashlib.sha256(new).hexdigest())

    def _status(self, path: str, row: Row) -> os.stat_result:
        try:
            self._check_folder(row.path.rpartition("/")[0])
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError) as exc:
            raise self.package.damaged(f"{row.path!r} is listed and not there") from exc
        if not stat.S_ISREG(status.st_mode) and (not stat.S_ISLNK(status.st_mode) or row.placeholder):
            raise self.package.error(f"{row.path!r} is neither a file nor a plain link")
        return status

    def _check_folder(self, path: str) -> None:
        """Make sure that *path* and all above it are real folders; each is looked at once."""
        if not path or path in self._folders:
            return
        self._check_folder(path.rpartition("/")[0])
        if not stat.S_ISDIR(os.lstat(f"{self.package.folder}/{path}").st_mode):
            raise self.package.error(f"{path!r} is no folder, and has files below it")
        self._folders.add(path)

    def _check(self, row: Row, source: Path) -> None:
        with source.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != row.sha256:
            raise self.package.damaged(f"{row.path!r}: expected sha256 {row.sha256}, got {found}")
