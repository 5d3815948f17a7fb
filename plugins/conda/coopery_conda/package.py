"""One extracted package: what its ``info`` folder says is in it. Written by strangers, so nothing is believed.

Source: the conda package format (conda.io, "Conda package specification"): ``info/index.json``, ``info/paths.json``,
``info/link.json``; and for packages older than ``paths.json``, ``info/files`` and ``info/has_prefix``.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from attrs import frozen

from coopery.errors import PackageError

_OLD_PLACEHOLDER: Final = "/opt/anaconda1anaconda2anaconda3"
_WRONG: Final = re.compile(r"(?:^|/)\.{0,2}(?:/|\Z)|[\0-\x1f\x7f]")
"""A component that is empty, ``.`` or ``..`` (so also an absolute path), or a control character."""

_KINDS: Final[Mapping[str, Literal["file", "symlink", "directory"]]] = {
    "hardlink": "file",
    "softlink": "symlink",
    "directory": "directory",
}
_MAX_JSON: Final = 256 << 20  # bytes; the largest paths.json seen in public is about 30 MiB


class DamagedError(PackageError):
    """The extracted package is not what it was when it was fetched, or never had what it lists."""


@frozen
class Row:
    """One path of a package.

    Attributes:
        path: where it is in the extracted package.
        kind: ``file``, ``symlink`` or ``directory``.
        sha256: of a file as packed, 64 hexadecimal digits; empty where the package does not say.
        placeholder: the prefix that it was built for; empty where it has none.
        binary: whether the placeholder stands in NUL-terminated strings.
    """

    path: str
    kind: Literal["file", "symlink", "directory"] = "file"
    sha256: str = ""
    placeholder: str = ""
    binary: bool = False


@frozen
class Package:
    """An extracted package at *folder*; *file_name* is what messages call it."""

    folder: Path
    file_name: str

    def index(self) -> dict[str, Any]:
        """``info/index.json``.

        Raises:
            PackageError: absent, or not a JSON object with name, version and build.
        """
        index = self._json("info/index.json")
        for name in ("name", "version", "build"):
            if not isinstance(index.get(name), str):
                raise self.error(f"info/index.json: expected a string as {name!r}, got {index.get(name)!r}")
        return index

    def entry_points(self) -> tuple[str, ...]:
        """Lines of ``info/link.json``; none where the package has no such file.

        Raises:
            PackageError: it is not in the form of the specification.
        """
        if not (self.folder / "info/link.json").is_file():
            return ()
        noarch = self._json("info/link.json").get("noarch")
        lines = noarch.get("entry_points") or [] if isinstance(noarch, dict) else []
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise self.error(f"info/link.json: expected a list of strings as entry points, got {lines!r}")
        return tuple(lines)

    def rows(self) -> tuple[Row, ...]:
        """Every path, in the order of the package; what stands there twice alike counts once.

        Raises:
            PackageError: a path leaves the package, or stands there twice with different meanings.
        """
        paths = self.folder / "info/paths.json"
        found: dict[str, Row] = {}
        for row in self._rows() if paths.is_file() else self._old_rows():
            if _WRONG.search(row.path) or not _is_unicode(row.path):
                raise self.error(f"the path {row.path!a} leaves the prefix or cannot be a file's name")
            if found.setdefault(row.path, row) != row:
                raise self.error(f"the path {row.path!r} stands twice in info/paths.json")
        return tuple(found.values())

    def error(self, message: str, remedy: str = "") -> PackageError:
        """A `PackageError` that names this package."""
        return PackageError(self.file_name, message, remedy=remedy)

    def damaged(self, message: str) -> DamagedError:
        """A `DamagedError` that names this package."""
        return DamagedError(self.file_name, message, remedy="its extracted copy was set aside: run the build again")

    def _rows(self) -> Iterator[Row]:
        listed = self._json("info/paths.json").get("paths")
        if not isinstance(listed, list):
            raise self.error("info/paths.json: expected a list of paths")
        for entry in listed:
            try:
                yield _row(entry)
            except (KeyError, TypeError, AttributeError) as exc:
                raise self.error(f"info/paths.json: not an entry of the specification: {entry!r}") from exc

    def _old_rows(self) -> Iterator[Row]:
        """Rows of a package from before ``paths.json``: modes and links are read from the files themselves."""
        placeholders = {path: (old, mode == "binary") for old, mode, path in self._has_prefix()}
        for path in self._lines("info/files"):
            kind: Literal["file", "symlink"] = "symlink" if (self.folder / path).is_symlink() else "file"
            old, binary = placeholders.get(path, ("", False))
            yield Row(path, kind, placeholder=old if kind == "file" else "", binary=binary)

    def _has_prefix(self) -> Iterator[tuple[str, str, str]]:
        for line in self._lines("info/has_prefix"):
            parts = shlex.split(line)
            yield (parts[0], parts[1], parts[2]) if len(parts) == 3 else (_OLD_PLACEHOLDER, "text", line)

    def _lines(self, name: str) -> list[str]:
        try:
            text = (self.folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        except (UnicodeDecodeError, OSError) as exc:
            raise self.damaged(f"{name} cannot be read: {exc}") from exc
        return [line for line in text.splitlines() if line]

    def _json(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        try:
            if path.is_symlink() or path.stat().st_size > _MAX_JSON:
                raise self.error(f"{name} is a link, or larger than {_MAX_JSON} bytes")
            document = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError) as exc:
            raise self.damaged(f"{name} cannot be read: {exc}") from exc
        if not isinstance(document, dict):
            raise self.error(f"{name}: expected a JSON object")
        return document


def _row(entry: dict[str, Any]) -> Row:
    if entry.get("path_type", "hardlink") not in _KINDS or not isinstance(entry["_path"], str):
        raise KeyError(entry.get("path_type"))
    kind = _KINDS[entry.get("path_type", "hardlink")]
    placeholder = entry.get("prefix_placeholder") or ""
    if kind != "file":
        return Row(entry["_path"], kind)
    return Row(
        entry["_path"],
        sha256=(entry.get("sha256") or "").lower(),
        placeholder=str(placeholder),
        binary=entry.get("file_mode") == "binary",
    )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
