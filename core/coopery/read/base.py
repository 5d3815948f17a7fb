"""The ``base`` of a definition: exactly one of nine forms."""

from __future__ import annotations

from typing import Final

from coopery.definition import (
    ArchiveBase,
    Base,
    ContextBase,
    DebianBase,
    DockerfileBase,
    ImageBase,
    LayoutBase,
    RootfsBase,
    ScratchBase,
    SifBase,
)
from coopery.read import grammar
from coopery.read.forms import Either, Flag, Form, Listing, Text
from coopery.read.grammar import HOST_PATH
from coopery.read.image_reference import image_reference
from coopery.read.node import Node
from coopery.read.reading import Reading
from coopery.read.records import Field, Record, Variants

_SCRATCH: Final = "scratch"
_TAG: Final = Field("tag", grammar.matching(grammar.TAG, "a tag", "v1"), "Which image in it; may be left away for one.")


def _image(image: str) -> Base:
    return ScratchBase() if image == _SCRATCH else ImageBase(image)


class _Yes(Flag):
    """``true`` and nothing else."""

    def read(self, node: Node, reading: Reading) -> bool | None:
        value = super().read(node, reading)
        if value is False:
            reading.problem(node, "expected true, found false", "remove the key, and name another base")
        return value

    def schema(self) -> dict[str, object]:
        return {"const": True}


def _scratch(scratch: bool) -> Base:
    del scratch  # it is true, or there was a problem
    return ScratchBase()


_DEBIAN: Final = Record(
    DebianBase,
    (
        Field(
            "suite", grammar.matching(grammar.SUITE, "a Debian suite", "bookworm"), "Suite or codename.", required=True
        ),
        Field(
            "packages",
            Listing(grammar.matching(grammar.DEBIAN_PACKAGE, "name or name=version", "libc6"), "a list of packages"),
            "Names, or name=version; what they depend on comes along.",
        ),
        Field(
            "components",
            Listing(
                grammar.matching(grammar.COMPONENT, "a component of the archive", "main"), "a list of components", 1
            ),
            "Components of the archive to look in.",
        ),
    ),
    "a mapping {suite, packages}",
)


def _of_image(image: Base) -> Base:
    return image


def _of_debian(debian: DebianBase) -> Base:
    return debian


def parse_image(text: str) -> Base:
    """An image reference, or the word ``scratch``."""
    return _image(image_reference(text))


_IMAGE: Final[Text[Base]] = Text(parse_image, "an image reference")

_VARIANTS: Final[Variants[Base]] = Variants(
    {
        "image": Record(_of_image, (Field("image", _IMAGE, "An image by reference.", required=True),)),
        "scratch": Record(_scratch, (Field("scratch", _Yes(), "Nothing at all.", required=True),)),
        "layout": Record(
            LayoutBase, (Field("layout", HOST_PATH, "Folder of an OCI image layout.", required=True), _TAG)
        ),
        "archive": Record(
            ArchiveBase, (Field("archive", HOST_PATH, "File of an OCI or Docker archive.", required=True), _TAG)
        ),
        "rootfs": Record(RootfsBase, (Field("rootfs", HOST_PATH, "A root file system's tar.", required=True),)),
        "sif": Record(SifBase, (Field("sif", HOST_PATH, "An Apptainer or Singularity image.", required=True),)),
        "debian": Record(_of_debian, (Field("debian", _DEBIAN, "Debian packages, unpacked.", required=True),)),
        "dockerfile": Record(
            DockerfileBase, (Field("dockerfile", HOST_PATH, "A Dockerfile that needs no context.", required=True),)
        ),
        "context": Record(
            ContextBase,
            (
                Field("context", HOST_PATH, "Folder of a build context.", required=True),
                Field(
                    "dockerfile",
                    Text(grammar.inner_path, "a path inside the context"),
                    "The Dockerfile, from the context's folder on.",
                ),
            ),
        ),
    },
    "an image reference, or a mapping with one of image, scratch, layout, archive, rootfs, sif, debian, dockerfile, "
    "context",
    {"tag": "tag belongs to layout or archive", "name": "write image: REFERENCE", "build": "write context: FOLDER"},
)

BASE: Final[Form[Base]] = Either(_VARIANTS.words, text=_IMAGE, mapping=_VARIANTS)
