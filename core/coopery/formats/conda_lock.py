"""Reading conda-lock.yml, version 1.

Source: conda-lock's models for version 1. It gives no sizes; packages of pip are single wheels.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from coopery.exchange import Listed, ListedFile
from coopery.formats import urls
from coopery.formats.fields import MOST_NODES, Fields, finish
from coopery.formats.imported import Imported, Wanted
from coopery.formats.subdirs import SUBDIRS, fits
from coopery.read.node import Node, quoted
from coopery.read.reading import Reading
from coopery.read.yaml_text import parse

FORM: Final = "conda-lock"

_MAIN: Final = "main"
_MANAGERS: Final = {"conda": "conda", "pip": "pip"}
_UNREAD: Final = re.compile(r"^(?P<key>  dependencies:)\n(?P<items>(?:    .*\n)+)", re.MULTILINE)
"""What every package depends on: most of a file, and nobody here asks for it."""


def read(text: str, file: str, wanted: Wanted) -> Imported:
    """The packages of one category in *text*: ``main``, or main and the wanted one.

    Raises:
        LockFileError: every mistake in what is wanted of it, each with its place.
    """
    reading = Reading(Path())
    document = parse(_UNREAD.sub(_blank, text), file, reading, MOST_NODES)
    finish(reading)
    if document is None:
        raise AssertionError("a document was refused without a problem")
    left_out: set[str] = set()
    packages = _packages(Fields(document, reading), wanted, left_out)
    finish(reading)
    return Imported(FORM, file, ("conda", "pip"), packages, tuple(sorted(left_out)))


def _blank(block: re.Match[str]) -> str:
    return f"{block['key']} {{}}\n" + "\n" * block["items"].count("\n")


def _packages(document: Fields, wanted: Wanted, left_out: set[str]) -> list[Listed]:
    reading = document.reading
    if (version := document.text("version")) != "1":
        reading.problem(document.node_of("version"), f"expected version 1, found {quoted(version)}", "update Coopery")
        return []
    subdir = SUBDIRS.get(wanted.platform, "")
    entries = [Fields(node, reading) for node in document.items("package")]
    here = [entry for entry in entries if entry.text("platform") == subdir]
    if not here:
        there = ", ".join(sorted({entry.text("platform", needed=False) for entry in entries})[:20]) or "none"
        remedy = f"lock it for that platform first: conda-lock -p {subdir}"
        reading.problem(
            document.node_of("package"), f"expected packages for {subdir or wanted.platform}, found {there}", remedy
        )
    asked = {_MAIN, wanted.environment or _MAIN}
    categories = {category for entry in here for category in _categories(entry)}
    if here and not asked <= categories | {_MAIN}:
        remedy = f"name one with --environment: {', '.join(sorted(categories))}"
        reading.problem(document.node, f"expected a category {quoted(wanted.environment)}, found none", remedy)
    found: list[Listed] = []
    for entry in here:
        if asked & _categories(entry):
            if wanted.leaves_out(entry.text("name")):
                left_out.add(entry.text("name"))
            elif (package := _package(entry, wanted)) is not None:
                found.append(package)
    return found


def _categories(entry: Fields) -> set[str]:
    """The categories that want a package: one in every release of version 1 so far, or several."""
    several = {node.value for node in entry.items("categories", needed=False) if isinstance(node.value, str)}
    return several or {entry.text("category", needed=False) or _MAIN}


def _package(entry: Fields, wanted: Wanted) -> Listed | None:
    manager = entry.text("manager")
    if manager not in _MANAGERS:
        entry.reading.problem(entry.node_of("manager"), f"expected conda or pip, found {quoted(manager)}")
        return None
    name, version = entry.tried("name", urls.word), entry.tried("version", urls.word)
    said = entry.fields("hash")
    if name is None or version is None or said is None:
        return None
    sha256 = said.tried("sha256", lambda text: urls.hexadecimal(text, urls.SHA256), needed=False) or ""
    md5 = said.tried("md5", lambda text: urls.hexadecimal(text, urls.MD5), needed=False) or ""
    if manager == "pip":
        return _wheel(entry, name, version, sha256, md5)
    found = entry.tried("url", urls.conda)
    if found is None:
        return None
    if not fits(found.subdir, wanted.platform):
        entry.reading.problem(
            entry.node_of("url"), f"expected a package for {wanted.platform}, found one of {found.subdir}"
        )
    file = ListedFile(found.file_name, found.url, sha256, md5)
    return Listed("conda", name, version, found.build, found.subdir, found.channel, (file,), place=entry.place())


def _wheel(entry: Fields, name: str, version: str, sha256: str, md5: str) -> Listed | None:
    found = entry.tried("url", lambda text: urls.wheel(urls.fragment(text)[0]))
    if found is None:
        return None
    file = ListedFile(found[1], found[0], sha256, md5)
    return Listed("pip", name, version, files=(file,), place=entry.place())


def is_one(document: Node) -> bool:
    """Whether *document* has the form of conda-lock's files."""
    return isinstance(document.value, dict) and "package" in document.value
