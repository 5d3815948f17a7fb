"""``pylock.toml``: reading and writing the Python packages of a lock.

Source: PyPA, "pylock.toml specification" (PEP 751), lock version 1.0.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from attrs import frozen

from coopery.exchange import Listed, ListedFile, Located
from coopery.formats import urls
from coopery.formats.fields import Fields, finish
from coopery.formats.imported import Imported, Wanted, normalized
from coopery.formats.toml_text import parse
from coopery.lock import Built
from coopery.read.node import quoted
from coopery.read.reading import Mistake, Reading

FORM: Final = "pylock"
VERSION: Final = "1.0"

_UNUSABLE: Final = {
    "vcs": "is a repository",
    "directory": "is a folder",
    "archive": "is an archive that must be built",
    "sdist": "has no wheel in the lock file, only source",
}


def read(text: str, file: str, wanted: Wanted) -> Imported:
    """The packages in *text*, those of all platforms: markers and file names say which are for the target.

    Raises:
        LockFileError: every mistake in it, each with the line of its package.
    """
    reading = Reading(Path())
    document = parse(text, file, reading, "packages")
    finish(reading)
    if document is None:
        raise AssertionError("a document was refused without a problem")
    fields = Fields(document, reading)
    version = fields.text("lock-version")
    if version.partition(".")[0] != VERSION.partition(".")[0]:
        remedy = "update Coopery"
        reading.problem(fields.node_of("lock-version"), f"expected {VERSION}, found {quoted(version)}", remedy)
    asked = _asked(fields, wanted)
    left_out: set[str] = set()
    found = []
    for node in fields.items("packages"):
        package = Fields(node, reading)
        if wanted.leaves_out(name := package.tried("name", urls.word) or ""):
            left_out.add(name)
        elif name:
            found.append(_package(package, name, asked))
    finish(reading)
    return Imported(FORM, file, ("pip",), found, tuple(sorted(left_out)))


@frozen
class _Asked:
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


def _asked(fields: Fields, wanted: Wanted) -> _Asked:
    """The default groups, and the extra or group that is wanted besides."""
    names = {key: _texts(fields, key) for key in ("extras", "dependency-groups", "default-groups")}
    name = wanted.environment
    if name and normalized(name) not in {
        normalized(known) for known in (*names["extras"], *names["dependency-groups"])
    }:
        known = ", ".join((*names["extras"], *names["dependency-groups"])) or "the file has none"
        fields.reading.problem(fields.node, f"expected an extra or a group {quoted(name)}, found {known}")
    extras = tuple(known for known in names["extras"] if name and normalized(known) == normalized(name))
    group = tuple(known for known in names["dependency-groups"] if name and normalized(known) == normalized(name))
    return _Asked(extras, tuple(dict.fromkeys((*names["default-groups"], *group))))


def _texts(fields: Fields, key: str) -> tuple[str, ...]:
    return tuple(node.value for node in fields.items(key, needed=False) if isinstance(node.value, str))


def _package(package: Fields, name: str, asked: _Asked) -> Listed:
    version = package.tried("version", urls.word, needed=False) or ""
    files = tuple(_files(package))
    why_not = "" if files else next((why for key, why in _UNUSABLE.items() if key in package), "has no wheels")
    return Listed(
        "pip",
        name,
        version,
        source=package.tried("index", urls.clean, needed=False) or "",
        files=files,
        marker=package.text("marker", needed=False),
        extras=asked.extras,
        groups=asked.groups,
        requires_python=package.text("requires-python", needed=False),
        why_not=why_not,
        place=package.place(),
    )


def _files(package: Fields) -> Iterator[ListedFile]:
    """Its wheels; an archive that is a wheel is one."""
    candidates = [Fields(node, package.reading) for node in package.items("wheels", needed=False)]
    archive = package.fields("archive") if "archive" in package else None
    if archive is not None and unquote(archive.text("url", needed=False)).endswith(".whl"):
        candidates.append(archive)
    for one in candidates:
        if (file := _file(one)) is not None:
            yield file


def _file(fields: Fields) -> ListedFile | None:
    reading, before = fields.reading, len(fields.reading.problems)
    url = fields.tried("url", urls.clean, needed=False) or ""
    if len(reading.problems) > before:
        return None
    if not url:
        where = quoted(fields.text("path", needed=False)) if "path" in fields else "none"
        reading.problem(
            fields.node, f"expected the URL of a wheel, found {where}", "wheels in folders cannot be imported"
        )
        return None
    hashes = fields.fields("hashes")
    sha256 = hashes.text("sha256", needed=False).lower() if hashes is not None else ""
    try:
        name, _ = urls.wheel_name(fields.text("name", needed=False) or unquote(url.rpartition("/")[2]))
        if sha256:
            urls.hexadecimal(sha256, urls.SHA256)
    except Mistake as mistake:
        reading.mistake(fields.node, mistake)
        return None
    return ListedFile(name, url, sha256, size=fields.size("size"))


def write(packages: Sequence[Located], python: str = "") -> str:
    """A ``pylock.toml`` of *packages*, by name.

    Args:
        packages: wheels, and what is built from source.
        python: full version that they were chosen for, ``3.12.4``; empty: unknown.
    """
    lines = [f'lock-version = "{VERSION}"']
    if python:
        lines.append(f'requires-python = "=={".".join(python.split(".")[:2])}.*"')
    lines.append('created-by = "coopery"')
    if not packages:
        lines.append("packages = []")
    for package in sorted(packages, key=lambda one: (one.artifact.name, one.artifact.file_name)):
        lines += ["", *_lines(package)]
    return "\n".join(lines) + "\n"


def _lines(package: Located) -> Iterator[str]:
    artifact = package.artifact
    yield "[[packages]]"
    yield f"name = {_text(artifact.name)}"
    yield f"version = {_text(artifact.version)}"
    if package.requires_python:
        yield f"requires-python = {_text(package.requires_python)}"
    if artifact.built is not None:
        yield from _source(package, artifact.built)
        return
    file = f"url = {_text(package.url)}, size = {artifact.size}, hashes = {{ sha256 = {_text(artifact.sha256)} }}"
    if package.index:
        yield f"index = {_text(package.index)}"
        yield f"wheels = [{{ name = {_text(artifact.file_name)}, {file} }}]"
    else:
        yield f"archive = {{ {file} }}"


def _source(package: Located, built: Built) -> Iterator[str]:
    """What is built from source: other tools build it again, each with tools of its own choice."""
    address, _, subdirectory = built.source.partition("#subdirectory=")
    below = f", subdirectory = {_text(subdirectory)}" if subdirectory else ""
    hashes = f"hashes = {{ sha256 = {_text(built.sha256)} }}"
    if address.startswith("git+"):
        url, _, commit = address.removeprefix("git+").rpartition("@")
        yield f'vcs = {{ type = "git", url = {_text(url)}, commit-id = {_text(commit)}{below} }}'
    elif package.index:
        yield f"index = {_text(package.index)}"
        yield f"sdist = {{ name = {_text(address)}, url = {_text(package.url)}, {hashes} }}"
    else:
        yield f"archive = {{ url = {_text(package.url)}, {hashes}{below} }}"


def _text(value: str) -> str:
    """A basic string. What JSON escapes, TOML reads back the same, but for DEL, which no field of a lock has."""
    return json.dumps(value, ensure_ascii=False)
