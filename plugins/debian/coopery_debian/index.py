"""The package index of a suite: a text of some 60,000 paragraphs, of which a base needs a few dozen.

It is cut at empty lines and found by first line; only the paragraphs asked for are parsed.
"""

from __future__ import annotations

import difflib
import gzip
import lzma
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from attrs import field, frozen

from coopery.errors import BaseError
from coopery_debian.control import NAME, VERSION, Relation, paragraph, relations
from coopery_debian.version import key, satisfies

_LIMIT: Final = 1 << 30
_HEAD: Final = b"Package: "
_NEAR: Final = 5
_PRIORITIES: Final = {"required": 0, "important": 1, "standard": 2, "optional": 3}


@frozen(order=True)
class Package:
    """One version of one package, as the index has it.

    Attributes:
        name, version: as written.
        filename: path below the mirror.
        sha256, size: of the file.
        pre_depends, depends: groups of alternatives.
        conflicts: packages that it cannot be together with: Conflicts and Breaks.
        replaces: packages whose files it may take over.
        provides: virtual packages, each with a version or none.
        priority: how much Debian itself wants it: 0 for ``required`` to 4 for ``extra`` and what is not stated.
    """

    name: str
    version: str
    filename: str
    sha256: str
    size: int
    depends: tuple[tuple[Relation, ...], ...] = field(default=(), order=False)
    conflicts: tuple[Relation, ...] = field(default=(), order=False)
    replaces: tuple[Relation, ...] = field(default=(), order=False)
    provides: tuple[Relation, ...] = field(default=(), order=False)
    priority: int = field(default=4, order=False)

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def meets(self, relation: Relation) -> bool:
        """Whether this package is what *relation* speaks of, by itself or by what it provides.

        A version is asked of the package itself, or of a provided name that states one. Policy, section 7.5.
        """
        if self.name == relation.name:
            return satisfies(self.version, relation.operator, relation.version)
        return any(
            one.name == relation.name
            and (
                not relation.operator
                or (one.version != "" and satisfies(one.version, relation.operator, relation.version))
            )
            for one in self.provides
        )


class Index:
    """All packages of some components of one suite.

    Args:
        texts: each index, uncompressed.
        place: what to call it in messages.
    """

    def __init__(self, texts: Iterable[bytes], place: str) -> None:
        self.place = place
        self._paragraphs: dict[str, list[bytes]] = {}
        self._providers: dict[str, list[str]] | None = None
        for text in texts:
            for one in text.split(b"\n\n"):
                if one.startswith(_HEAD):
                    name = one[len(_HEAD) : (one + b"\n").index(b"\n")].decode("ascii", "replace").strip()
                    self._paragraphs.setdefault(name, []).append(one)

    def versions(self, name: str) -> tuple[Package, ...]:
        """Every version of *name*, newest first; empty when there is none.

        Raises:
            BaseError: the index says something impossible of it.
        """
        found = [self._parse(one) for one in self._paragraphs.get(name, ())]
        return tuple(sorted(found, key=lambda package: (key(package.version), package.sha256), reverse=True))

    def providers(self, name: str) -> tuple[Package, ...]:
        """The newest version of every package that provides *name*: by priority, then by name.

        So that ``awk`` is mawk, as Debian installs it, and not the first in the alphabet.
        """
        if self._providers is None:
            self._providers = self._read_providers()
        found = [self.versions(provider)[0] for provider in set(self._providers.get(name, ()))]
        return tuple(sorted(found, key=lambda package: (package.priority, package.name)))

    def near(self, name: str) -> tuple[str, ...]:
        """Names like *name*, for messages."""
        # Comparing 60,000 names takes a second; those with one of the same beginnings are enough to be of help.
        stem = name[:3]
        candidates = [known for known in self._paragraphs if known.startswith(stem) or name in known or known in name]
        return tuple(difflib.get_close_matches(name, candidates, _NEAR, 0.6))

    def _read_providers(self) -> dict[str, list[str]]:
        providers: dict[str, list[str]] = {}
        for name, texts in self._paragraphs.items():
            for text in texts:
                start = text.find(b"\nProvides: ")
                if start >= 0:
                    line = text[start + 11 : (text + b"\n").index(b"\n", start + 1)].decode("utf-8", "replace")
                    for word in line.split(","):
                        providers.setdefault(word.strip().partition(" ")[0].partition(":")[0], []).append(name)
        return providers

    def _parse(self, text: bytes) -> Package:
        try:
            fields = paragraph(text.decode("utf-8"))
            package = Package(
                name=fields["Package"],
                version=fields["Version"],
                filename=fields["Filename"],
                sha256=fields["SHA256"].lower(),
                size=int(fields["Size"]),
                depends=relations(fields.get("Pre-Depends", "")) + relations(fields.get("Depends", "")),
                conflicts=_flat(fields.get("Conflicts", "")) + _flat(fields.get("Breaks", "")),
                replaces=_flat(fields.get("Replaces", "")),
                provides=_flat(fields.get("Provides", "")),
                priority=_PRIORITIES.get(fields.get("Priority", ""), 4),
            )
        except (UnicodeDecodeError, KeyError, ValueError) as exc:
            raise BaseError(f"{self.place}: a damaged paragraph of the index: {exc!r}") from exc
        self._check(package)
        return package

    def _check(self, package: Package) -> None:
        """Names become paths and URLs: what could leave its folder is refused."""
        path = package.filename.split("/")
        good = NAME.fullmatch(package.name) and VERSION.fullmatch(package.version) and package.size >= 0
        sha256 = len(package.sha256) == 64 and set(package.sha256) <= set("0123456789abcdef")
        if not (good and sha256 and all(part not in ("", ".", "..") for part in path) and ":" not in path[0]):
            raise BaseError(f"{self.place}: an impossible entry in the index: {package}, file {package.filename!r}")


def decompressed(path: Path, name: str) -> bytes:
    """The text of an index, kept as xz, gzip or as it is. *name* ends as the file did on the mirror.

    Raises:
        BaseError: damaged, or over 1 GiB. Its sha256 was right, so the mirror's own file is at fault.
    """
    try:
        if name.endswith(".xz"):
            unpacker = lzma.LZMADecompressor(memlimit=1 << 28)
            text = unpacker.decompress(path.read_bytes(), _LIMIT + 1)
            whole = unpacker.eof
        elif name.endswith(".gz"):
            with gzip.open(path) as stream:
                text, whole = stream.read(_LIMIT + 1), True
        else:
            text, whole = path.read_bytes(), True
    except (lzma.LZMAError, zlib.error, EOFError, OSError) as exc:
        raise BaseError(f"{name}: the index is damaged: {exc}") from exc
    if not whole or len(text) > _LIMIT:
        raise BaseError(f"{name}: the index is cut short or over {_LIMIT} bytes")
    return text


def _flat(text: str) -> tuple[Relation, ...]:
    return tuple(relation for group in relations(text) for relation in group)
