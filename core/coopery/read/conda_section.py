"""The ``conda`` section: a mapping of channels and dependencies, or the path of an ``environment.yml``."""

from __future__ import annotations

from typing import Final

from coopery.read.conda import CHANNELS, Dependencies, Packages, beside_definition, packages, require_channels
from coopery.read.conda_file import CondaFile
from coopery.read.forms import Either, Form
from coopery.read.node import Node
from coopery.read.reading import Reading
from coopery.read.records import Field, Record


class _Inline(Record[Packages]):
    def read(self, node: Node, reading: Reading) -> Packages | None:
        section = super().read(node, reading)
        require_channels(node, reading)
        return section


_APART: Final = "write conda: {file: ...} and put everything into that file, or leave file: away"
_INLINE: Final = _Inline(
    packages,
    (
        Field("channels", CHANNELS, "Channels, the first wins."),
        Field("dependencies", Dependencies(beside_definition), "Match specs, and perhaps one {pip: [...]}."),
        Field("file", CondaFile(), "A conda environment.yml, in place of the other two."),
    ),
    "a mapping {channels, dependencies}",
    {
        "packages": "write dependencies:",
        "python": "write dependencies: [python=3.12]",
        "pip": "write pip: beside conda:",
    },
    apart=(("file", "channels", _APART), ("file", "dependencies", _APART)),
)

CONDA: Final[Form[Packages]] = Either(
    "a mapping {channels, dependencies}, or the path of an environment.yml", text=CondaFile(), mapping=_INLINE
)
