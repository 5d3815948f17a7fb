"""Lock files: ``NAME.lock`` beside a definition, readable in a review. Several platforms share one file.

The form is `coopery.lockfile.text`'s, one short block for each package, sorted by name, so that a package that changed
is a few lines in a diff. A file has no digest of itself: each package has its sha256, and two branches that changed
different packages can be merged. `coopery.lockfile.check` reads it strictly. See ``docs/lock.md``.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from coopery.definition import Environment
from coopery.errors import LockFileError, NotFound, Problem, UsageError
from coopery.lock import Artifact, Built, Lock
from coopery.lockfile.text import Unreadable, write
from coopery.redact import masked

FILE_TAG: Final = "coopery.lock-file.v1"
TAG_KEY: Final = "lock-file"
MOST_BYTES: Final = 8 << 20

_HEADER: Final = f"""\
# The exact packages that `coopery lock` chose for the definition beside this file. `coopery build` uses these.
# Commit it. `coopery lock` brings it up to date, `coopery lock --update [PACKAGE...]` moves packages.
{TAG_KEY}: {FILE_TAG}
"""
_ASKED: Final = ("base", "conda", "pip", "spark", "target")
_NAME_DIGITS: Final = 32
_NEXT_HEADING: Final = re.compile(r"\n(?=[^\s#])")


def _by_platform(sections: Iterable[Locked]) -> tuple[Locked, ...]:
    return tuple(sorted(sections, key=lambda locked: locked.lock.platform))


@frozen
class Locked:
    """One platform's part of a lock file.

    Attributes:
        lock: the exact packages, the digest of the base that they were chosen on, and its facts.
        asked: what of the definition they answer, word for word; see `asked`.
    """

    lock: Lock
    asked: Mapping[str, Any] = field(factory=dict, hash=False)

    @property
    def text(self) -> str:
        """The part of the file, from its heading on."""
        lock = self.lock
        kinds = groupby(lock.artifacts, key=lambda artifact: artifact.kind)
        section = {
            "asked": self.asked,
            "base": lock.base,
            "facts": dict(lock.facts),
            "packages": {kind: [_package(artifact) for artifact in artifacts] for kind, artifacts in kinds},
        }
        return write({lock.platform: section})

    @property
    def name(self) -> str:
        """Names this part, in records of what was built from it: 32 hexadecimal digits of its text's sha256."""
        return _name(self.text)


@frozen
class LockFile:
    """All of a lock file: one part for each platform, sorted."""

    sections: tuple[Locked, ...] = field(default=(), converter=_by_platform)

    @property
    def platforms(self) -> tuple[str, ...]:
        """Platforms that it has packages for."""
        return tuple(locked.lock.platform for locked in self.sections)

    @property
    def text(self) -> str:
        """What the file holds. One form for equal values: no time, no path, no name of a machine."""
        return "\n".join((_HEADER, *(locked.text for locked in self.sections)))

    def of(self, platform: str) -> Locked | None:
        """The part for *platform*, or None."""
        return next((locked for locked in self.sections if locked.lock.platform == platform), None)

    def having(self, *sections: Locked) -> LockFile:
        """The same file with *sections* in place of those for the same platforms, or added."""
        changed = {locked.lock.platform: locked for locked in (*self.sections, *sections)}
        return LockFile(changed.values())


@frozen
class Glance:
    """One platform's part of a file as it stands there, not yet read; enough to look a build up by.

    Attributes:
        path: the file.
        platform: ``linux/amd64``.
        name: as `Locked.name`, of the text as it stands.
    """

    path: Path
    platform: str
    name: str

    def read(self) -> Locked:
        """Read and check all of the file.

        Raises:
            LockFileError: every mistake in it.
        """
        locked = read(self.path).of(self.platform)
        if locked is None or _glance_name(self.path, self.platform) != self.name:
            raise UsageError(f"{self.path}: it was changed while it was read", remedy="run the command again")
        return locked


def asked(identity: Mapping[str, Any]) -> dict[str, Any]:
    """What of a definition its lock answers: base, package sections and target, as in `coopery.key.identity`.

    The platform is left out, since it heads the part of the file; what URLs say of users is masked.
    """
    found = {name: _masked(identity[name]) for name in _ASKED if name in identity}
    target = {name: value for name, value in found.pop("target", {}).items() if name != "platform"}
    return {**found, **({"target": target} if target else {})}


def beside(environment: Environment) -> Path | None:
    """Where the lock file of *environment* is, or would be; None for a definition that stands in no file."""
    return environment.file.with_suffix(".lock") if environment.file is not None else None


def read(path: str | os.PathLike[str]) -> LockFile:
    """Read a lock file.

    Raises:
        NotFound: there is none.
        LockFileError: every mistake in it, each with its line.
    """
    shown = _shown(path)
    text = _read(shown)
    _check_tag(text, shown)
    return _parse(text, shown)


def _parse(text: str, shown: str) -> LockFile:
    from coopery.lockfile.check import checked
    from coopery.lockfile.text import parse

    try:
        block = parse(text)
    except Unreadable as exc:
        raise LockFileError([Problem("$", exc.message, file=shown, line=exc.line, remedy=exc.remedy)]) from exc
    return checked(block, shown)


def glance(path: Path, platform: str) -> Glance | None:
    """The part of the file at *path* for *platform*, found and named but not read; None where the file has none.

    Raises:
        NotFound: there is no such file.
        LockFileError: it cannot be read, or is no lock file of this version.
    """
    name = _glance_name(path, platform)
    return Glance(path, platform, name) if name else None


def save(path: Path, file: LockFile) -> None:
    """Put *file* at *path*, whole or not at all.

    Raises:
        UsageError: the folder is not there, or cannot be written.
        LockFileError: a package has a name that would not read back; nothing was written.
    """
    from coopery.errors import CacheError
    from coopery.whole import write_whole

    _parse(file.text, _shown(path))
    real = Path(os.path.realpath(path))
    if not real.parent.is_dir():
        raise UsageError(f"{path}: the folder {real.parent} is not there")
    try:
        write_whole(real, file.text.encode(), real.parent, mode=0o644)
    except CacheError as exc:
        raise UsageError(f"{path}: cannot be written: {exc.message}") from exc


def _package(artifact: Artifact) -> dict[str, Any]:
    fields = {
        "name": artifact.name,
        "version": artifact.version,
        "build": artifact.build,
        "subdir": artifact.subdir,
        "from": artifact.source,
        "file": artifact.file_name,
        "hash": f"sha256:{artifact.sha256}",
        "size": artifact.size,
        "built": _built(artifact.built) if artifact.built is not None else "",
    }
    return {name: value for name, value in fields.items() if value != ""}


def _built(built: Built) -> dict[str, Any]:
    """How a package is made that no index has."""
    hashed = {"hash": f"sha256:{built.sha256}"} if built.sha256 else {}
    return {"source": built.source, **hashed, "tools": [_package(tool) for tool in built.tools]}


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, Mapping):
        return {name: _masked(inner) for name, inner in value.items()}
    return [_masked(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _shown(path: str | os.PathLike[str]) -> str:
    """*path* as it may be opened from here, short where it is below."""
    text = os.fspath(path)
    try:
        here = os.getcwd().rstrip(os.sep) + os.sep
    except FileNotFoundError:  # the folder that we stand in is gone
        return text
    return text.removeprefix(here) or text


def _read(shown: str) -> str:
    from coopery.read.node import Node
    from coopery.read.reading import Reading
    from coopery.read.source import read_text

    if not os.path.lexists(shown):
        raise NotFound(f"{shown}: there is no lock file", remedy="coopery lock makes one")
    reading = Reading(Path())
    text = read_text(shown, shown, reading, Node(None, file=shown), MOST_BYTES)
    if text is None:
        raise LockFileError(reading.problems)
    return text.replace("\r\n", "\n")


def _check_tag(text: str, shown: str) -> None:
    lines = enumerate(text.split("\n", 50)[:50], 1)
    number, line = next(((n, line) for n, line in lines if line.strip() and not line.startswith("#")), (1, ""))
    if line == f"{TAG_KEY}: {FILE_TAG}":
        return
    found = line.removeprefix(f"{TAG_KEY}: ") if line.startswith(f"{TAG_KEY}: ") else ""
    if found:
        message = f"expected a lock file of version {FILE_TAG}, found {found[:60]!a}"
        remedy = "use the version of Coopery that wrote it, or make it anew with `coopery lock`"
    else:
        message = f"expected a lock file of Coopery (a line `{TAG_KEY}: {FILE_TAG}`), found {line[:60]!a}"
        remedy = "build with --no-lock or --lock FILE; or import it with `coopery lock --from`, if it is another tool's"
    raise LockFileError([Problem("$", message, file=shown, line=number, remedy=remedy)])


def _glance_name(path: Path, platform: str) -> str:
    text = _read(_shown(path))
    _check_tag(text, _shown(path))
    heading = f"\n{platform}:\n"
    begin = text.find(heading) + 1
    if not begin or text.find(heading, begin) != -1:  # none, written in another way, or a mistake that is told
        locked = read(path).of(platform)
        return locked.name if locked is not None else ""
    end = _NEXT_HEADING.search(text, begin)
    return _name(text[begin : end.start() if end else len(text)])


def _name(text: str) -> str:
    return hashlib.sha256(text.rstrip().encode()).hexdigest()[:_NAME_DIGITS]
