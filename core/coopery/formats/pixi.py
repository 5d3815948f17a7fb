"""Reading pixi.lock, versions 6 and 7: what pixi and everything else on rattler writes.

Source: the crate ``rattler_lock``, whose parser is the only specification. Version 6 names platforms by their conda
subdir; version 7 lists platforms with names of their own, and an index for each PyPI package that is not on PyPI.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from coopery.exchange import Listed, ListedFile
from coopery.formats import urls
from coopery.formats.fields import MOST_NODES, Fields, finish, tried
from coopery.formats.imported import Imported, Wanted
from coopery.formats.subdirs import SUBDIRS, fits
from coopery.read.node import Node, quoted
from coopery.read.reading import Reading
from coopery.read.yaml_text import parse

FORM: Final = "pixi"
VERSIONS: Final = ("6", "7")

_DEFAULT: Final = "default"
_DIRECT: Final = "direct+"  # a wheel that a requirement names by its URL
_UNREAD: Final = re.compile(
    r"^(?P<key>  (?:depends|constrains|purls|requires_dist):)\n(?P<items>(?:  - .*\n(?:    .*\n)*)+)", re.MULTILINE
)
"""Lists that make up most of a file and that nobody here asks for."""


def read(text: str, file: str, wanted: Wanted) -> Imported:
    """The packages of one environment in *text*.

    Raises:
        LockFileError: every mistake in what is wanted of it, each with its place.
    """
    reading = Reading(Path())
    document = parse(_UNREAD.sub(_blank, text), file, reading, MOST_NODES)
    finish(reading)
    if document is None:
        raise AssertionError("a document was refused without a problem")
    pixi = _Pixi(Fields(document, reading), wanted)
    packages = pixi.packages()
    finish(reading)
    return Imported(FORM, file, ("conda", "pip"), packages, tuple(sorted(pixi.left_out)))


def _blank(block: re.Match[str]) -> str:
    """The same lines with nothing on them: parsing takes a third of the time, and places stay true."""
    return f"{block['key']} []\n" + "\n" * block["items"].count("\n")


class _Pixi:
    def __init__(self, document: Fields, wanted: Wanted) -> None:
        self.document = document
        self.reading = document.reading
        self.wanted = wanted
        self.left_out: set[str] = set()

    def packages(self) -> list[Listed]:
        """Everything in the wanted environment, for the wanted platform."""
        version = self.document.text("version")
        if version not in VERSIONS:
            remedy = "let a current pixi write it again: pixi lock" if version in "12345" else "update Coopery"
            node = self.document.node_of("version")
            self.reading.problem(node, f"expected version {' or '.join(VERSIONS)}, found {quoted(version)}", remedy)
            return []
        entries = self._entries()
        chosen = self._chosen()
        if chosen is None:
            return []
        return [package for node in chosen if (package := self._package(node, entries)) is not None]

    def _entries(self) -> dict[tuple[str, str], list[Fields]]:
        """Descriptions of packages by kind and location. A source package may have several."""
        found: dict[tuple[str, str], list[Fields]] = {}
        for node in self.document.items("packages"):
            fields = Fields(node, self.reading)
            for kind in ("conda", "pypi"):
                if kind in fields:
                    found.setdefault((kind, fields.text(kind)), []).append(fields)
        return found

    def _chosen(self) -> list[Node] | None:
        """The environment's list for the platform; None after noting why there is none."""
        environments = self.document.fields("environments")
        name, _, platform = self.wanted.environment.partition(":")
        name = name or _DEFAULT
        if environments is None:
            return None
        if name not in environments:
            known = ", ".join(environments.names()[:20])
            remedy = f"name one with --environment: {known}"
            self.reading.problem(environments.node, f"expected an environment {quoted(name)}, found none", remedy)
            return None
        environment = environments.fields(name)
        packages = environment.fields("packages") if environment is not None else None
        chosen = self._platform(packages, name, platform) if packages is not None else ""
        return packages.items(chosen) if packages is not None and chosen else None

    def _platform(self, packages: Fields, environment: str, asked: str) -> str:
        """The name of the platform in the file; empty after noting why there is none."""
        subdirs = self._subdirs()
        subdir = SUBDIRS.get(self.wanted.platform, "")
        names = [name for name in packages.names() if subdirs.get(name, name) == subdir]
        if asked or subdir in names:
            names = [name for name in names if name == (asked or subdir)]
        if len(names) == 1:
            return names[0]
        there = ", ".join(packages.names()[:20]) or "none"
        words = f"one platform for {subdir or self.wanted.platform}"
        remedy = (
            f"name one with --environment {environment}:NAME" if names else "lock it for that platform in pixi first"
        )
        self.reading.problem(packages.node, f"expected {words}, found {there}", remedy)
        return ""

    def _subdirs(self) -> dict[str, str]:
        """Platform name → subdir, for the platforms that have names of their own."""
        listed = [Fields(node, self.reading) for node in self.document.items("platforms", needed=False)]
        return {one.text("name"): one.text("subdir", needed=False) or one.text("name") for one in listed}

    def _package(self, node: Node, entries: dict[tuple[str, str], list[Fields]]) -> Listed | None:
        selector = Fields(node, self.reading)
        if "conda_source" in selector:
            self._refuse_source(selector, "conda_source")
            return None
        kind = "pypi" if "pypi" in selector else "conda"
        location = selector.text(kind)
        described = [one for one in entries.get((kind, location), ()) if _agree(selector, one)]
        if not location or not described:
            if location:
                self.reading.problem(node, f"expected a package described under packages, found {quoted(location)}")
            return None
        fields = described[0]
        if self._skips(fields.text("name", needed=False) or _name_in(location)):
            return None
        return self._pypi(fields, location) if kind == "pypi" else self._conda(fields, location)

    def _refuse_source(self, selector: Fields, key: str) -> None:
        location = selector.text(key)
        if not self._skips(location.partition("[")[0].strip()):
            self.reading.problem(
                selector.node_of(key),
                f"expected a package file, found what pixi builds itself: {quoted(location)}",
                _BUILT,
            )

    def _skips(self, name: str) -> bool:
        if self.wanted.leaves_out(name):
            self.left_out.add(name)
            return True
        return False

    def _conda(self, fields: Fields, location: str) -> Listed | None:
        if not location.endswith((".conda", ".tar.bz2")):
            self._refuse_source(fields, "conda")
            return None
        found = fields.tried("conda", urls.conda)
        if found is None:
            return None
        if not fits(found.subdir, self.wanted.platform):
            self.reading.problem(
                fields.node, f"expected a package for {self.wanted.platform}, found one of {found.subdir}"
            )
        name, version, build = (
            fields.tried(key, urls.word, needed=False) or getattr(found, key) for key in ("name", "version", "build")
        )
        sha256, md5 = _hash(fields, "sha256"), _hash(fields, "md5")
        file = ListedFile(found.file_name, found.url, sha256, md5, fields.size("size"))
        return Listed("conda", name, version, build, found.subdir, found.channel, (file,), place=fields.place())

    def _pypi(self, fields: Fields, location: str) -> Listed | None:
        name = fields.tried("name", urls.word) or ""
        version = fields.tried("version", urls.word, needed=False) or ""
        if _is_local(location) or fields.text("editable", needed=False) == "true":
            remedy = f"leave it out, --without {name or 'NAME'}, and copy it with a step"
            self.reading.problem(fields.node, f"expected a wheel, found the project itself: {quoted(location)}", remedy)
            return None
        if location.startswith("git+"):
            self.reading.problem(
                fields.node, f"expected a wheel, found a repository: {quoted(location)}", urls.NO_WHEEL
            )
            return None
        found = tried(fields.node_of("pypi"), self.reading, lambda: _wheel(location))
        if found is None:
            return None
        url, file_name, said, pinned = found
        direct = location.startswith(_DIRECT)
        index = "" if direct else fields.text("index", needed=False)
        file = ListedFile(file_name, url, _hash(fields, "sha256") or pinned, _hash(fields, "md5"))
        return Listed("pip", name, version or said, source=index, files=(file,), place=fields.place())


_BUILT: Final = "leave it out, --without NAME, and publish it in a channel or copy it with a step"


def _agree(selector: Fields, described: Fields) -> bool:
    """Whether a selector that says more than a location means this description. Version 6 does so for sources."""
    keys = ("name", "version", "build", "subdir")
    return all(selector.text(key) == described.text(key, needed=False) for key in keys if key in selector)


def _hash(fields: Fields, key: str) -> str:
    pattern = urls.SHA256 if key == "sha256" else urls.MD5
    return fields.tried(key, lambda text: urls.hexadecimal(text, pattern), needed=False) or ""


def _wheel(location: str) -> tuple[str, str, str, str]:
    """URL, file name, version, and the sha256 that the URL itself may carry."""
    url, rest = urls.fragment(location.removeprefix(_DIRECT))
    pinned = rest.removeprefix("sha256=") if rest.startswith("sha256=") else ""
    if pinned:
        urls.hexadecimal(pinned, urls.SHA256)
    return (*urls.wheel(url), pinned)


def _is_local(location: str) -> bool:
    return "://" not in location


def _name_in(location: str) -> str:
    """The package's name as far as its location tells: a conda package's entry often has no other."""
    match = urls.CONDA_FILE.fullmatch(location.partition("#")[0].rpartition("/")[2])
    return match["name"] if match else ""
