"""What a lock file may hold: every value checked before anything is made of it, every mistake told with its line.

A lock file comes from whoever can change the project's files. What it names becomes paths and URLs, so that each name
has a grammar; what it leads to is checked by sha256.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from coopery import platform as _platform
from coopery.digest import Digest
from coopery.errors import LockFileError, Problem
from coopery.lock import Artifact, Built, Lock
from coopery.lockfile import TAG_KEY, Locked, LockFile
from coopery.lockfile.text import Block, Items
from coopery.read.node import child_path, quoted
from coopery.redact import masked

MOST_PACKAGES: Final = 20_000
_MOST_LISTED: Final = 50
_LONGEST: Final = 2048

_HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")
_KIND: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_FACT: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SECTION_KEYS: Final = ("asked", "base", "facts", "packages")

# What becomes part of a path or a URL: printable ASCII with no slash, and nothing that a shell, an option parser or a
# file system could take for more than a name.
_WORD: Final = re.compile(r"[A-Za-z0-9_][!#$%&()*+,.0-9:;<=>?@A-Z\[\]^_a-z{|}~-]*")
_GRAMMARS: Final[dict[str, tuple[re.Pattern[str], str]]] = {
    "name": (re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:-]*"), "a package name"),
    "version": (_WORD, "a version"),
    "build": (_WORD, "a build string"),
    "subdir": (re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*"), "a subdir"),
    "source": (re.compile(r"[A-Za-z0-9](\S*\S)?"), "a repository, the URL of an archive, or the name of one"),
    "from": (re.compile(r"[^\s-](.*\S)?"), "a channel or an index, with no user in it"),
    "file": (_WORD, "a file name"),
    "hash": (_HASH, "sha256: and 64 lower-case hexadecimal digits"),
}
_NEEDED: Final = ("name", "version", "from", "file", "hash", "size")


def checked(block: Block, file: str) -> LockFile:
    """The lock file in *block*.

    Raises:
        LockFileError: every mistake in it.
    """
    check = _Check(file)
    sections = [check.section(platform, block) for platform in block if platform != TAG_KEY]
    check.finish()
    return LockFile(section for section in sections if section is not None)


class _Check:
    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []

    def finish(self) -> None:
        if not self.problems:
            return
        ordered = sorted(self.problems, key=lambda problem: problem.line)
        if len(ordered) > _MOST_LISTED:
            more = Problem("$", f"and {len(ordered) - _MOST_LISTED} more mistakes", file=self.file)
            ordered = [*ordered[:_MOST_LISTED], more]
        raise LockFileError(ordered)

    def section(self, platform: str, root: Block) -> Locked | None:
        """One platform's part; None after noting problems."""
        line, path, found = root.lines[platform], child_path("$", platform), root[platform]
        before = len(self.problems)
        if platform not in _platform.KNOWN:
            known = ", ".join(_platform.KNOWN)
            self._note(line, path, f"expected a platform, found {quoted(platform)}", f"known are {known}")
        if not self._is(found, Block, line, path, "a mapping") or not self._keys(found, line, path, _SECTION_KEYS):
            return None
        lines = found.lines
        self._text(found["base"], _HASH, "a digest", lines["base"], f"{path}.base")
        self._is(found["asked"], Block, lines["asked"], f"{path}.asked", "a mapping")
        facts = list(self._facts(found["facts"], lines["facts"], f"{path}.facts"))
        artifacts = list(self._kinds(found["packages"], lines["packages"], f"{path}.packages"))
        if len(self.problems) > before:
            return None
        return Locked(Lock(platform, Digest(found["base"]), dict(facts), artifacts), _plain(found["asked"]))

    def _facts(self, facts: Any, line: int, path: str) -> Iterator[tuple[str, str]]:
        if not self._is(facts, Block, line, path, "a mapping"):
            return
        for name, value in facts.items():
            at, where = facts.lines[name], child_path(path, name)
            self._text(name, _FACT, "the name of a fact", at, where)
            if self._text(value, _WORD, "a value in quotes", at, where):
                yield name, value

    def _kinds(self, kinds: Any, line: int, path: str) -> Iterator[Artifact]:
        if not self._is(kinds, Block, line, path, "a mapping of kinds of packages"):
            return
        count = 0
        for kind, packages in kinds.items():
            at, where = kinds.lines[kind], child_path(path, kind)
            self._text(kind, _KIND, "a kind of packages", at, where)
            if not self._is(packages, Items, at, where, "a list of packages"):
                continue
            count += len(packages)
            if count > MOST_PACKAGES:
                self._note(at, where, f"expected at most {MOST_PACKAGES} packages, found more")
                return
            yield from self._packages(kind, packages, where)

    def _packages(self, kind: str, packages: Items, path: str, *, nested: bool = False) -> Iterator[Artifact]:
        seen: dict[str, int] = {}
        for number, (line, package) in enumerate(zip(packages.lines, packages, strict=True)):
            where = f"{path}[{number}]"
            if not self._is(package, Block, line, where, "a package"):
                continue
            artifact = self._artifact(kind, package, line, where)
            if artifact is None:
                continue
            if nested and artifact.built is not None:
                self._note(line, where, f"{artifact.name}: what packages are built with is not built itself")
            first = seen.setdefault(artifact.name, line)
            if first != line:
                message = f"{artifact.name} stands twice, first on line {first}"
                self._note(line, where, message, "keep the one that the definition means, or run `coopery lock`")
            yield artifact

    def _artifact(self, kind: str, package: Block, line: int, path: str) -> Artifact | None:
        if not self._keys(package, line, path, _NEEDED, optional=("build", "subdir", "built")):
            return None
        good, built = True, None
        if "built" in package:
            built = self._built(kind, package["built"], package.lines["built"], f"{path}.built")
            good = built is not None
        for name, value in package.items():
            at, where = package.lines[name], f"{path}.{name}"
            if name == "size":
                good &= self._size(value, at, where)
            elif name in _GRAMMARS:
                grammar, what = _GRAMMARS[name]
                good &= self._text(value, grammar, what, at, where)
        if not good:
            return None
        return Artifact(
            kind=kind,
            name=package["name"],
            version=package["version"],
            build=package.get("build", ""),
            subdir=package.get("subdir", ""),
            file_name=package["file"],
            source=package["from"],
            sha256=package["hash"].partition(":")[2],
            size=package["size"],
            built=built,
        )

    def _built(self, kind: str, block: Any, line: int, path: str) -> Built | None:
        """How a package is made; None after noting problems."""
        if not self._is(block, Block, line, path, "a mapping") or not self._keys(
            block, line, path, ("source", "tools"), optional=("hash",)
        ):
            return None
        good = True
        for name in block.keys() & _GRAMMARS.keys():
            grammar, what = _GRAMMARS[name]
            good &= self._text(block[name], grammar, what, block.lines[name], f"{path}.{name}")
        tools, where, at = block["tools"], f"{path}.tools", block.lines["tools"]
        if not self._is(tools, Items, at, where, "a list of packages") or not good:
            return None
        return Built(
            block["source"], block.get("hash", "").partition(":")[2], self._packages(kind, tools, where, nested=True)
        )

    def _size(self, value: Any, line: int, path: str) -> bool:
        if isinstance(value, int) and not isinstance(value, bool):
            return True
        self._note(line, path, f"expected a number of bytes, found {_found(value)}")
        return False

    def _text(self, value: Any, grammar: re.Pattern[str], what: str, line: int, path: str) -> bool:
        fits = isinstance(value, str) and len(value) <= _LONGEST and value.isprintable() and grammar.fullmatch(value)
        if fits and masked(value) == value:
            return True
        self._note(line, path, f"expected {what}, found {_found(value)}")
        return False

    def _keys(
        self, block: Block, line: int, path: str, needed: tuple[str, ...], optional: tuple[str, ...] = ()
    ) -> bool:
        missing = [name for name in needed if name not in block]
        unknown = [name for name in block if name not in needed and name not in optional]
        for name in unknown:
            self._note(block.lines[name], child_path(path, name), f"unknown key {quoted(name)}")
        if missing:
            self._note(line, path, f"expected the key{'s' if len(missing) > 1 else ''} {', '.join(missing)}")
        return not missing

    def _is(self, value: Any, kind: type, line: int, path: str, what: str) -> bool:
        if isinstance(value, kind):
            return True
        self._note(line, path, f"expected {what}, found {_found(value)}")
        return False

    def _note(self, line: int, path: str, message: str, remedy: str = "") -> None:
        self.problems.append(Problem(path, message, file=self.file, line=line, remedy=remedy))


def _found(value: Any) -> str:
    kinds: tuple[tuple[type, Callable[[Any], str]], ...] = (
        (str, quoted),
        (bool, lambda flag: str(flag).lower()),
        (dict, lambda _: "a mapping"),
        (list, lambda _: "a list"),
    )
    return next((words(value) for kind, words in kinds if isinstance(value, kind)), str(value))


def _plain(value: Any) -> Any:
    """Without the lines, so that it compares as what it is."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
