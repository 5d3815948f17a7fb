"""Requirements with hashes: ``name==version --hash=sha256:…``, as pip-compile and uv write them.

Source: pip's documentation, "Secure installs" and "Requirements File Format". Several hashes of one requirement are
those of several files, of which the index says which fits a target.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from coopery.exchange import Listed, ListedFile, Located
from coopery.formats import urls
from coopery.formats.fields import finish, place, tried
from coopery.formats.imported import Imported, Wanted
from coopery.read.node import Node, quoted
from coopery.read.reading import Mistake, Reading
from coopery.read.requirement import requirement
from coopery.read.requirements import cut_hashes, logical_lines, without_comment

FORM: Final = "requirements"

_PINNED: Final = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^]]*\])?\s*"
    r"(?:={2,3}\s*(?P<version>[A-Za-z0-9][A-Za-z0-9.+!_-]*)|@\s*(?P<url>\S+))\s*"
)
_OPTION: Final = re.compile(r"(?P<name>--?[A-Za-z][A-Za-z-]*)(?:[= ].*)?")
_MACHINE: Final = frozenset({
    "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--no-index", "--trusted-host", "--only-binary",
    "--no-binary", "--prefer-binary", "--pre", "--require-hashes",
})  # fmt: skip
"""Options that say where and how to look: here the definition and the settings do."""


def read(text: str, file: str, wanted: Wanted) -> Imported:
    """The packages in *text*.

    Raises:
        LockFileError: every mistake in it, each with its line.
    """
    reading = Reading(Path())
    found: list[Listed] = []
    left_out: set[str] = set()
    for number, line in logical_lines(text):
        node = Node(None, f"line {number}", file, number, 1)
        package = tried(node, reading, lambda line=line, node=node: _line(line, node))  # type: ignore[misc]  # bound now
        if package is not None and wanted.leaves_out(package.name):
            left_out.add(package.name)
        elif package is not None:
            found.append(package)
    finish(reading)
    return Imported(FORM, file, ("pip",), found, tuple(sorted(left_out)))


def _line(line: str, node: Node) -> Listed | None:
    text = without_comment(line).strip()
    if not text:
        return None
    if option := _OPTION.fullmatch(text):
        if option["name"] in _MACHINE:
            return None
        raise Mistake(f"expected a requirement, found the option {quoted(text)}", "compile it into one file first")
    bare, hashes = cut_hashes(text)
    asked, _, marker = bare.partition(";")
    match = _PINNED.fullmatch(asked.strip())
    if match is None:
        raise Mistake(
            f"expected NAME==VERSION, found {quoted(bare)}", "lock it first: uv pip compile --generate-hashes"
        )
    requirement(bare)
    sha256 = tuple(value.removeprefix("sha256:") for value in hashes if value.startswith("sha256:"))
    if not sha256:
        raise Mistake(f"expected --hash=sha256:… after {quoted(bare)}, found none", "uv pip compile --generate-hashes")
    if match["url"]:
        url, file_name, version = urls.wheel(urls.fragment(match["url"])[0])
        if len(sha256) > 1:
            raise Mistake(f"expected one hash of one file, found {len(sha256)}")
        files = (ListedFile(file_name, url, sha256[0]),)
        return Listed("pip", match["name"], version, files=files, marker=marker.strip(), place=place(node))
    version = urls.word(match["version"])
    return Listed("pip", match["name"], version, hashes=sha256, marker=marker.strip(), place=place(node))


def write(packages: Sequence[Located]) -> str:
    """Requirements with hashes, by name; files that stand in no index by their URL.

    What is built from source has the hash of its archive; a repository has none, its commit names it.
    """
    lines = ["# The exact files of one lock, by `coopery lock`."]
    for package in sorted(packages, key=lambda one: (one.artifact.name, one.artifact.file_name)):
        artifact = package.artifact
        asked = f"{artifact.name}=={artifact.version}" if package.index else f"{artifact.name} @ {package.url}"
        sha256 = artifact.sha256
        if artifact.built is not None:
            asked += "".join(artifact.built.source.partition("#subdirectory=")[1:])
            sha256 = artifact.built.sha256
        lines += [f"{asked} \\", f"    --hash=sha256:{sha256}"] if sha256 else [asked]
    return "\n".join(lines) + "\n"
