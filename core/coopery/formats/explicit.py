"""Explicit lists: one URL of a conda package on each line below ``@EXPLICIT``.

Source: ``conda list --explicit --md5`` and ``--sha256``, conda-lock's ``--kind explicit``, micromamba, pixi's export.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from coopery.exchange import Listed, ListedFile, Located
from coopery.formats import urls
from coopery.formats.fields import finish, place, tried
from coopery.formats.imported import Imported, Wanted
from coopery.formats.subdirs import SUBDIRS, fits
from coopery.read.node import Node, quoted
from coopery.read.reading import Mistake, Reading

FORM: Final = "explicit"
MARK: Final = "@EXPLICIT"

_PLATFORM: Final = re.compile(r"#\s*platform:\s*(?P<subdir>\S+)\s*")
_PIP: Final = re.compile(
    r"# pip (?P<name>[A-Za-z0-9][A-Za-z0-9._-]*) @ (?P<url>\S+)( --hash=(?P<kind>sha256|md5)[:=](?P<hash>\S+))?\s*"
)
"""How conda-lock hides packages of pip from conda, and micromamba and conda-lock install them."""


def read(text: str, file: str, wanted: Wanted) -> Imported:
    """The packages in *text*.

    Raises:
        LockFileError: every mistake in it, each with its line.
    """
    reading = Reading(Path())
    found: list[Listed] = []
    left_out: set[str] = set()
    marked = False
    for number, line in enumerate(text.splitlines(), 1):
        node = Node(line.strip(), f"line {number}", file, number, 1)
        if line.strip() == MARK:
            marked = True
        elif line.startswith("# pip ") or (line.strip() and not line.startswith("#")):
            package = _package(node, reading, wanted)
            if package is not None and wanted.leaves_out(package.name):
                left_out.add(package.name)
            elif package is not None:
                found.append(package)
        elif platform := _PLATFORM.fullmatch(line):
            _check_platform(node, platform["subdir"], wanted, reading)
    if not marked:
        reading.problem(Node(None, "$", file, 1, 1), f"expected a line {MARK}, found none")
    finish(reading)
    kinds = ("conda", "pip") if any(package.kind == "pip" for package in found) else ("conda",)
    return Imported(FORM, file, kinds, found, tuple(sorted(left_out)))


def _check_platform(node: Node, subdir: str, wanted: Wanted, reading: Reading) -> None:
    if subdir != SUBDIRS.get(wanted.platform):
        reading.problem(node, f"expected packages for {wanted.platform}, found a list for {quoted(subdir)}")


def _package(node: Node, reading: Reading, wanted: Wanted) -> Listed | None:
    text = str(node.value)
    if text.startswith("#"):
        return tried(node, reading, lambda: _wheel(text, node))
    package = tried(node, reading, lambda: _conda(text, node))
    if package is not None and not fits(package.subdir, wanted.platform):
        reading.problem(node, f"expected a package for {wanted.platform}, found one of {package.subdir}")
    return package


def _conda(text: str, node: Node) -> Listed:
    location, rest = urls.fragment(text)
    found = urls.conda(location)
    md5, sha256 = urls.hashes(rest)
    file = ListedFile(found.file_name, found.url, sha256, md5)
    return Listed(
        "conda", found.name, found.version, found.build, found.subdir, found.channel, (file,), place=place(node)
    )


def _wheel(text: str, node: Node) -> Listed:
    match = _PIP.fullmatch(text)
    if match is None:
        raise Mistake(f"expected '# pip NAME @ URL --hash=sha256:…', found {quoted(text)}")
    url, file_name, version = urls.wheel(urls.fragment(match["url"])[0])
    sha256 = urls.hexadecimal(match["hash"], urls.SHA256) if match["kind"] == "sha256" else ""
    md5 = urls.hexadecimal(match["hash"], urls.MD5) if match["kind"] == "md5" else ""
    file = ListedFile(file_name, url, sha256, md5)
    return Listed("pip", match["name"], version, files=(file,), place=place(node))


def write(platform: str, packages: Iterable[Located]) -> str:
    """An explicit list of *packages*, each behind what it depends on: some tools install in that order."""
    lines = [f"# platform: {SUBDIRS[platform]}", MARK]
    lines += [f"{package.url}#sha256:{package.artifact.sha256}" for package in _ordered(packages)]
    return "\n".join(lines) + "\n"


def _ordered(packages: Iterable[Located]) -> list[Located]:
    """By name, but dependencies first. Where they go round in a circle, the name decides."""
    by_name = {one.artifact.name: one for one in sorted(packages, key=lambda one: one.artifact)}
    done: dict[str, Located] = {}
    for first in by_name:
        waiting = [(first, False)]
        seen: set[str] = set()
        while waiting:
            name, ready = waiting.pop()
            if ready:
                done.setdefault(name, by_name[name])
            elif name in by_name and name not in done and name not in seen:
                seen.add(name)
                needs = sorted((spec.split(" ")[0] for spec in by_name[name].depends), reverse=True)
                waiting += [(name, True), *((need, False) for need in needs)]
    return list(done.values())
