"""The ``pip`` section: a list of lines as they stand in requirement files, or a mapping with options."""

# ruff: noqa: D102 - what read and schema do is said once, at coopery.read.forms.Form

from __future__ import annotations

import os
from typing import Any, Final

from attrs import evolve

from coopery.definition import Pip
from coopery.read.forms import Either, Flag, Form, Listing, Text, mismatch
from coopery.read.grammar import URL, included_path
from coopery.read.node import Node
from coopery.read.reading import Mistake, Reading
from coopery.read.records import Field, Record
from coopery.read.requirements import RequirementReader, format_name, links


class PipLines:
    """A list of lines. An empty `Pip` where they ask for nothing.

    Attributes:
        constraints: whether the requirements in them are constraints.
    """

    def __init__(self, constraints: bool = False) -> None:
        self.constraints = constraints

    def read(self, node: Node, reading: Reading) -> Pip | None:
        return self.read_from(node, RequirementReader(reading, shown=os.path.dirname(node.file)))

    def read_from(self, node: Node, reader: RequirementReader) -> Pip | None:
        """Read with a reader that starts from another folder."""
        reading = reader.reading
        if not isinstance(node.value, list):
            mismatch(node, "a list of requirements", reading)
            return None
        before = len(reading.problems)
        for item in node.value:
            if not isinstance(item.value, str):
                mismatch(item, "a requirement", reading, textual=True)
            elif self.constraints:
                reader.constraint(item)
            else:
                reader.line(item)
        return reader.section() if len(reading.problems) == before else None

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "string"}}


class PipFile:
    """The path of a requirements file, which is read and inlined."""

    def read(self, node: Node, reading: Reading) -> Pip | None:
        name = Text(included_path, "a requirements file").read(node, reading)
        if name is None:
            return None
        before = len(reading.problems)
        reader = RequirementReader(reading, shown=os.path.dirname(node.file))
        reader.file(node, name)
        return reader.section() if len(reading.problems) == before else None

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1}


def _section(
    *,
    requirements: Pip | None = None,
    file: Pip | None = None,
    constraints: Pip | None = None,
    index_url: str = "",
    extra_index_urls: tuple[str, ...] = (),
    find_links: tuple[str, ...] = (),
    pre: bool = False,
    no_binary: tuple[str, ...] = (),
    only_binary: tuple[str, ...] = (),
) -> Pip:
    """One section of the fields and of the options that stand among the lines."""
    lines = requirements or file or Pip()
    if index_url and lines.index_url not in ("", index_url):
        raise Mistake("expected one index_url, found another among the requirements", "keep one of them")
    return evolve(
        lines,
        constraints=(*lines.constraints, *(constraints.constraints if constraints else ())),
        index_url=index_url or lines.index_url,
        extra_index_urls=_union(extra_index_urls, lines.extra_index_urls),
        find_links=_union(find_links, lines.find_links),
        pre=pre or lines.pre,
        no_binary=_union(no_binary, lines.no_binary),
        only_binary=_union(only_binary, lines.only_binary),
    )


def _union(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))


_FORMATS: Final = Listing(Text(format_name, "a package name, or :all:"), "a list of package names")

_MAPPING: Final[Record[Pip]] = Record(
    _section,
    (
        Field("requirements", PipLines(), "Requirements, and pip's options that change what they resolve to."),
        Field("constraints", PipLines(constraints=True), "Versions to keep to, if the package is needed at all."),
        Field("index_url", URL, "Index to look in, instead of the one that pip knows."),
        Field("extra_index_urls", Listing(URL, "a list of URLs"), "Further indexes."),
        Field(
            "find_links",
            Listing(Text(links, "a URL or a folder"), "a list of URLs or folders"),
            "Pages and folders to find archives in.",
        ),
        Field("pre", Flag(), "Whether pre-releases may be chosen."),
        Field("no_binary", _FORMATS, "Packages that must be built from source, or :all:."),
        Field("only_binary", _FORMATS, "Packages that must not be built from source, or :all:."),
        Field("file", PipFile(), "A requirements file, which is read as if its lines stood here."),
    ),
    "a mapping",
    {
        "extra_index_url": "write extra_index_urls: [URL]",
        "packages": "write requirements:",
        "dependencies": "write requirements:",
        "trusted_host": "this belongs to the machine: put it into the settings",
    },
    apart=(("file", "requirements", "write - -r FILE among the requirements"),),
)

PIP: Final[Form[Pip]] = Either(
    "a list of requirements, or a mapping like {file: requirements.txt}", listing=PipLines(), mapping=_MAPPING
)
