"""Lines as pip reads them, from a list or from requirement files: requirements, options, other files.

Source: pip's documentation, "Requirements File Format". Files named by ``-r`` and ``-c`` are read and inlined, so
that their content is part of the key; what belongs to a machine rather than to the environment is refused.
"""

from __future__ import annotations

import os
import posixpath
import re
import shlex
from collections.abc import Callable, Iterator
from typing import Final

from coopery.definition import Pip
from coopery.read.characters import check
from coopery.read.grammar import included_path, no_credentials, url
from coopery.read.node import Node, quoted
from coopery.read.pattern import Pattern
from coopery.read.reading import Mistake, Reading
from coopery.read.requirement import requirement
from coopery.read.source import read_text

_GOOD_HASH: Final = Pattern(r"sha(?:256:[0-9a-f]{64}|384:[0-9a-f]{96}|512:[0-9a-f]{128})")
_INNER_OPTION: Final = Pattern(r"\s(--?[A-Za-z][A-Za-z-]*)")
_FORMAT_NAME: Final = Pattern(r":all:|:none:|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_MOST_DEPTH: Final = 10
_MOST_FILES: Final = 100
_LONGEST: Final = 1 << 16

_SETTINGS: Final = "this belongs to the machine: put it into the settings"
_REFUSED: Final = {
    "--trusted-host": _SETTINGS,
    "--proxy": _SETTINGS,
    "--cert": _SETTINGS,
    "--client-cert": _SETTINGS,
    "--no-index": "leave it away and name a folder under find_links",
    "--editable": "leave the option away, and name a release, or git+https://host/owner/name@COMMIT",
    "--prefer-binary": "name the packages under only_binary",
    "--no-deps": "every package comes with what it needs: leave it away",
    "--upgrade": "leave it away: nothing is installed yet",
}
_SHORT: Final = {
    "-r": "--requirement",
    "-c": "--constraint",
    "-i": "--index-url",
    "--pypi-url": "--index-url",
    "-f": "--find-links",
    "-e": "--editable",
    "-U": "--upgrade",
}
_FILES: Final = ("--requirement", "--constraint")
_LISTS: Final = ("extra_index_urls", "find_links", "no_binary", "only_binary")
_IGNORED: Final = ("--require-hashes",)  # a lock pins every file by sha256 in any case


class RequirementReader:
    """Reads lines, and the files they name, into one `coopery.definition.Pip`.

    Args:
        reading: takes the problems.
        folder: where relative paths in lines start from, relative to the definition's folder.
        shown: the same folder, as the user would write it.
    """

    def __init__(self, reading: Reading, folder: str = "", shown: str = "") -> None:
        self.reading = reading
        self._requirements: list[str] = []
        self._constrained: list[str] = []
        self._index = ""
        self._lists: dict[str, list[str]] = {name: [] for name in _LISTS}
        self._pre = False
        self._folder = folder
        self._shown = shown
        self._constraints = False
        self._stack: list[str] = []
        self._files = 0
        self._options: dict[str, Callable[[str], None]] = {
            "--index-url": self._index_url,
            "--extra-index-url": self._extra_index_url,
            "--find-links": self._find_links,
            "--no-binary": self._no_binary,
            "--only-binary": self._only_binary,
        }

    def section(self) -> Pip:
        """What the lines read so far ask for."""
        lists = {name: tuple(dict.fromkeys(values)) for name, values in self._lists.items()}
        return Pip(
            requirements=tuple(self._requirements),
            constraints=tuple(self._constrained),
            index_url=self._index,
            pre=self._pre,
            **lists,
        )

    def line(self, node: Node) -> None:
        """Read one line, comment and all. *node* holds its text."""
        text = node.value
        if not isinstance(text, str):
            return
        try:
            if len(text) > _LONGEST:
                raise Mistake(f"expected a line of at most {_LONGEST} characters, found {len(text)}")
            check(text.replace("\t", " "), lines=False)
            text = without_comment(text).strip(" \t")
            if text.startswith("-"):
                self._option_line(node, text)
            elif text:
                self._requirement_line(node, text)
        except Mistake as mistake:
            self.reading.mistake(node, mistake)

    def constraint(self, node: Node) -> None:
        """Read one line whose requirement is a constraint."""
        before, self._constraints = self._constraints, True
        self.line(node)
        self._constraints = before

    def file(self, node: Node, name: str) -> None:
        """Read the file *name*, which *node* asks for."""
        try:
            self._include(node, name)
        except Mistake as mistake:
            self.reading.mistake(node, mistake)

    # --- requirements ----------------------------------------------------------------------------

    def _requirement_line(self, node: Node, text: str) -> None:
        bare, hashes = cut_hashes(text)
        if option := _INNER_OPTION.search(bare.partition(";")[0]):
            remedy = f"write {option[1]} as an item, or a line, of its own: pip ignores it here"
            raise Mistake(f"expected a requirement, found the option {option[1]} after it", remedy)
        kept = " ".join([requirement(bare), *(f"--hash={entry}" for entry in hashes)])
        self.reading.lines.setdefault(kept, node)
        (self._constrained if self._constraints else self._requirements).append(kept)

    # --- options ---------------------------------------------------------------------------------

    def _option_line(self, node: Node, text: str) -> None:
        try:
            words = shlex.split(text)
        except ValueError as exc:
            raise Mistake(f"expected options, found {quoted(text)}: {exc}") from exc
        while words:
            word = words.pop(0)
            name, equals, value = word.partition("=")
            if not name.startswith("-"):
                raise Mistake(
                    f"expected options, found {quoted(word)} after them", "one requirement, or one option, an item"
                )
            if not name.startswith("--") and len(name) > 2:  # -rfile
                name, equals, value = name[:2], "=", word[2:]
            self._option(node, _SHORT.get(name, name), value if equals else None, words)

    def _option(self, node: Node, name: str, value: str | None, words: list[str]) -> None:
        if name in _IGNORED and value is None:
            return
        if name == "--pre" and value is None:
            self._pre = True
            return
        if name in _REFUSED:
            raise Mistake(f"expected no {name} here", _REFUSED[name])
        if name not in _FILES and name not in self._options:
            known = ", ".join((*_FILES, *self._options, "--pre"))
            raise Mistake(f"expected one of pip's options {known}; found {quoted(name)}", "take it out")
        if value is None:
            value = words.pop(0) if words else ""
        if not value:
            raise Mistake(f"expected a value after {name}, found none")
        if name in _FILES:
            self._include(node, value, constraints=name == "--constraint")
        else:
            self._options[name](value)

    def _index_url(self, value: str) -> None:
        address = url(value)
        if self._index not in ("", address):
            raise Mistake(f"expected one --index-url, found a second: {quoted(value)}", "write --extra-index-url")
        self._index = address

    def _extra_index_url(self, value: str) -> None:
        self._lists["extra_index_urls"].append(url(value))

    def _find_links(self, value: str) -> None:
        self._lists["find_links"].append(links(value, self._folder))

    def _no_binary(self, value: str) -> None:
        self._lists["no_binary"].extend(_names(value))

    def _only_binary(self, value: str) -> None:
        self._lists["only_binary"].extend(_names(value))

    # --- files -----------------------------------------------------------------------------------

    def _include(self, node: Node, name: str, *, constraints: bool = False) -> None:
        path = posixpath.normpath(posixpath.join(self._folder, included_path(name)))
        shown = os.path.normpath(os.path.join(self._shown, name))
        if path in self._stack:
            raise Mistake(f"expected files that do not include themselves, found {' → '.join([*self._stack, path])}")
        self._files += 1
        if len(self._stack) >= _MOST_DEPTH or self._files > _MOST_FILES:
            raise Mistake(f"expected at most {_MOST_FILES} files, {_MOST_DEPTH} deep; found more")
        text = read_text(os.path.join(self.reading.root, path), shown, self.reading, node)
        if text is not None:
            self._stack.append(path)
            outer = self._folder, self._shown, self._constraints
            self._folder, self._shown = posixpath.dirname(path), os.path.dirname(shown)
            self._constraints = constraints or self._constraints
            for number, line in logical_lines(text):
                self.line(Node(line, node.path, shown, number, 1))
            self._folder, self._shown, self._constraints = outer
            self._stack.pop()


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with continuations joined, and the number of the line that each begins on.

    A comment line inside a continuation ends it, as in pip.
    """
    begun, parts = 0, []
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        begun = begun or number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            parts.append(line[:-1].strip())
            continue
        yield begun, " ".join([*parts, line]) if parts else line
        begun, parts = 0, []
    if parts:
        yield begun, " ".join(parts)


def without_comment(text: str) -> str:
    """*text* up to a ``#`` that stands at its beginning or after a space, as pip cuts it."""
    at = text.find("#")
    while at > 0 and text[at - 1] not in " \t":
        at = text.find("#", at + 1)
    return text if at < 0 else text[:at]


def cut_hashes(text: str) -> tuple[str, list[str]]:
    """The requirement without its ``--hash`` options, and the hashes, sorted, each once."""
    bare, *options = re.split(r"[ \t](?=--hash\b)", text)
    hashes = set()
    for option in options:
        value = option.removeprefix("--hash").strip(" \t").removeprefix("=").strip(" \t")
        if not _GOOD_HASH.fullmatch(value):
            raise Mistake(f"expected --hash=sha256: and 64 hexadecimal digits, found {quoted(value)}")
        hashes.add(value)
    return bare.strip(), sorted(hashes)


def _names(value: str) -> list[str]:
    return [format_name(name.strip()) for name in value.split(",")]


def format_name(text: str) -> str:
    """A package that ``--no-binary`` or ``--only-binary`` speaks of.

    Raises:
        Mistake: it is no package name, ``:all:`` or ``:none:``.
    """
    if not _FORMAT_NAME.fullmatch(text):
        raise Mistake(f"expected a package name or :all:, found {quoted(text)}")
    return text


def links(value: str, folder: str = "") -> str:
    """A URL or folder to find archives in; a relative folder is given from the definition's folder on.

    Raises:
        Mistake: a URL with credentials, or with a scheme that nobody fetches.
    """
    no_credentials(value)
    if "://" in value:
        return url(value)
    if value.startswith("-"):
        raise Mistake(f"expected a URL or a folder, found {quoted(value)}")
    return value if value.startswith("/") or not folder else posixpath.normpath(posixpath.join(folder, value))
