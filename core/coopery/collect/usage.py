"""What takes how much: `coopery disk`. By kind and by name; the total is that of ``du``."""

from __future__ import annotations

from collections import Counter

from attrs import frozen

from coopery.collect.collection import name_of
from coopery.collect.images import ImageHere
from coopery.collect.survey import Survey
from coopery.digest import Digest


@frozen
class KindUsage:
    """All things of one kind."""

    kind: str
    count: int
    size: int


@frozen
class ImageUsage:
    """One image. ``own`` bytes are freed when it goes alone, ``shared`` ones are another image's too.

    Attributes:
        name: what people call it.
        image: its id; None for what another tool listed and is no image.
        keys: of its records.
        tags: in the layout.
        own, shared: bytes of its blobs.
        unpacked: bytes of its files as unpacked for ``run``.
        used: seconds since 1970: last built, hit or run.
        pin: name of the pin that keeps it, or empty.
        ours: whether Coopery made it.
    """

    name: str
    image: Digest | None
    keys: tuple[str, ...]
    tags: tuple[str, ...]
    own: int
    shared: int
    unpacked: int
    used: float
    pin: str
    ours: bool


@frozen
class Usage:
    """A cache folder in bytes. ``kinds`` sum up to ``total``.

    Attributes:
        home: its path.
        total: bytes of everything in it, folders included.
        kinds: the largest first.
        images: the last used first.
        foreign: what Coopery did not make; relative paths.
    """

    home: str
    total: int
    kinds: tuple[KindUsage, ...]
    images: tuple[ImageUsage, ...]
    foreign: tuple[str, ...]


def usage(seen: Survey, home: str) -> Usage:
    """*seen* in bytes."""
    owners = Counter(blob for image in seen.images for blob in image.blobs)
    unpacked = {item.stem: item.size for item in seen.census.items if item.shelf and item.shelf.needed_by == "image"}
    images = [_image(seen, image, owners, unpacked) for image in reversed(seen.images)]
    foreign = tuple(item.name for item in seen.census.foreign)
    return Usage(home, seen.census.total, _kinds(seen), tuple(images), foreign)


def _image(seen: Survey, image: ImageHere, owners: Counter[str], unpacked: dict[str, int]) -> ImageUsage:
    sizes = {blob: seen.census.blobs[blob].size for blob in image.blobs if blob in seen.census.blobs}
    pin = seen.pin_of(image)
    return ImageUsage(
        name=name_of(image),
        image=image.image,
        keys=tuple(dict.fromkeys(made.key for made in image.made_as)),
        tags=image.tags,
        own=sum(size for blob, size in sizes.items() if owners[blob] == 1),
        shared=sum(size for blob, size in sizes.items() if owners[blob] > 1),
        unpacked=unpacked.get((image.image or "")[7:], 0),
        used=image.used / 1e9,
        pin=pin.name if pin is not None else "",
        ours=image.ours,
    )


def _kinds(seen: Survey) -> tuple[KindUsage, ...]:
    census = seen.census
    count: Counter[str] = Counter()
    size: Counter[str] = Counter({"folders": census.folders})
    for item in (*census.items, *census.blobs.values(), *census.kept, *census.foreign):
        kind = seen.kind_of(item)
        count[kind] += 1
        size[kind] += item.size
    return tuple(
        KindUsage(kind, count[kind], size[kind]) for kind in sorted(size, key=lambda kind: (-size[kind], kind))
    )
