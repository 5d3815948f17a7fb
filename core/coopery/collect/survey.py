"""A cache folder with everything known about it: what there is, which images, what is pinned, who builds now."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen

from coopery.collect import census, images
from coopery.collect.census import Census, Item
from coopery.collect.images import ImageHere
from coopery.collect.pins import Pin, pins

if TYPE_CHECKING:
    from coopery.cache import Cache
    from coopery.home import Home
    from coopery.shelf import Shelf

_DIGEST: Final = re.compile(rb"sha256:([0-9a-f]{64})")
_LAYER: Final = re.compile(rb'"diff_id":"sha256:[0-9a-f]{64}","digest":"sha256:([0-9a-f]{64})"')
"""A layer as `coopery.image.encode` writes it, in the index of layers and in snapshots."""

_NOTE: Final = 4096
"""Bytes of the longest note that names another blob; what is longer lists a layer's entries."""


@frozen(slots=False)
class Survey:
    """What `coopery disk` shows and `coopery gc` chooses from."""

    census: Census
    images: tuple[ImageHere, ...]
    pins: tuple[Pin, ...]

    @cached_property
    def twins(self) -> dict[str, frozenset[str]]:
        """Blob → the layers that it is another form of (compressed, or plain): what notes beside the blobs say."""
        found: dict[str, set[str]] = {}
        for item in self.census.items:
            if item.shelf is not None and item.shelf.needed_by == "layer" and item.size <= _NOTE:
                for twin in self._mentioned(item, _DIGEST):
                    found.setdefault(twin, set()).add(item.stem)
        return {blob: frozenset(layers) for blob, layers in found.items()}

    @cached_property
    def bound(self) -> dict[str, tuple[frozenset[str], frozenset[str]]]:
        """Name of an index's or snapshot's file → the layers that it is no use without, and all blobs that it names."""
        return {
            item.name: (self._mentioned(item, _LAYER, there=False), self._mentioned(item, _DIGEST))
            for item in self.census.items
            if item.shelf is not None and item.shelf.needed_by == "blobs"
        }

    @cached_property
    def cut(self) -> frozenset[str]:
        """Blobs that the index of layers names: layers cut from packages here."""
        names = [name for name in self.bound if name.startswith("layers/cut/")]
        return frozenset().union(*(self.bound[name][0] for name in names))

    @cached_property
    def pinned_packages(self) -> frozenset[str]:
        """sha256 of the packages in the locks that are pinned."""
        return frozenset(artifact.sha256 for pin in self.pins for lock in pin.locks for artifact in lock.artifacts)

    def pin_of(self, image: ImageHere) -> Pin | None:
        """The pin that keeps *image*: by its id, or by the lock that it was made from."""
        locks = {made.lock for made in image.made_as if made.lock is not None}
        for pin in self.pins:
            if (pin.image is not None and pin.image == image.image) or locks & {lock.digest for lock in pin.locks}:
                return pin
        return None

    @cached_property
    def _kinds(self) -> dict[str, str]:
        """Blob → what it is to the images, in words."""
        found = {blob: "snapshots" for _, named in self.bound.values() for blob in named}
        found |= dict.fromkeys(self.twins, "other forms of layers")
        for image in self.images:
            found |= dict.fromkeys(image.diff_ids, "other forms of layers")
        for image in self.images:
            found |= dict.fromkeys(image.layers, "bases and steps")
        found |= dict.fromkeys(self.cut, "layers")
        for image in self.images:
            found |= dict.fromkeys(image.documents, "images")
        return found

    def kind_of(self, item: Item) -> str:
        """What people call the kind of *item*; of a blob, what it is to the images."""
        return self._kinds.get(item.stem, "loose blobs") if item.kind == "blobs" else item.kind

    def _mentioned(self, item: Item, what: re.Pattern[bytes], *, there: bool = True) -> frozenset[str]:
        try:
            data = Path(item.paths[0]).read_bytes()
        except OSError:  # gone meanwhile, or not ours to read: it keeps nothing
            return frozenset()
        found = frozenset(name.decode() for name in what.findall(data))
        return found & self.census.blobs.keys() if there else found


def survey(home: Home, cache: Cache, shelves: Iterable[Shelf]) -> Survey:
    """Look at all of *home*. Nothing is changed, and nothing counts as used by it.

    Raises:
        IntegrityError: the layout's index, a document of an image, or a pin is damaged.
        CacheError: the disk or the records cannot be read.
    """
    seen = census.take(home, shelves)
    return Survey(seen, images.read(home, seen, cache), pins(home))


def again(before: Survey, home: Home, cache: Cache) -> Survey:
    """The same with the images that there are now: some have gone, some have come."""
    return Survey(before.census, images.read(home, before.census, cache), before.pins)
