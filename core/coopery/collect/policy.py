"""What goes and what stays. Pure: from a survey and limits to choices; nothing is touched.

An image *stays* while a pin names it, somebody builds or has just used it, another tool listed it, or it is among the
last of its name (``keep_last``). Of the others those *go* that have not been used for ``unused_for``; where only
``keep_last`` is given, all of them. What nothing refers to any more goes always, once it is old enough. ``max_size``
then takes what was used longest ago: first what can be made again from what stays, then images.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import frozen

from coopery.collect.census import Item
from coopery.collect.images import ImageHere
from coopery.collect.survey import Survey

_MADE_AGAIN: Final = ("artifact", "image", "nobody")
"""Needs of shelves whose entries a limit may choose; the others go with what they belong to."""


UNUSED: Final = "not used for that long"
TOO_MUCH: Final = "over the size limit"
BY_LIMIT: Final = frozenset({UNUSED, TOO_MUCH})
"""Reasons that hold whether anything needs the thing or not."""


@frozen
class Limits:
    """What the caller asks for; None: nothing of that kind.

    Attributes:
        keep_last: images of each name that stay, the last used ones.
        unused_for: seconds.
        max_size: bytes that all of the cache folder may take.
    """

    keep_last: int | None = None
    unused_for: float | None = None
    max_size: int | None = None

    @property
    def any(self) -> bool:
        """Whether images may go at all."""
        return (self.keep_last, self.unused_for, self.max_size) != (None, None, None)


@frozen
class Moment:
    """When the choice is made, by the disk's clock, in nanoseconds since 1970.

    Attributes:
        now: the time.
        safe: what was made or used at that time or later stays: a while ago, before all who build now began.
    """

    now: int
    safe: int


@frozen
class Going:
    """One thing that goes, and why."""

    item: Item
    why: str


@frozen
class Choice:
    """What goes and what stays.

    Attributes:
        images: manifest → why it goes.
        staying: images that a limit would have taken, and why they stay.
        things: everything on disk that goes, blobs of images included.
    """

    images: dict[ImageHere, str]
    staying: dict[ImageHere, str]
    things: tuple[Going, ...]

    @property
    def size(self) -> int:
        """Bytes that are freed."""
        return sum(going.item.size for going in self.things)


def choose(seen: Survey, limits: Limits, moment: Moment) -> Choice:
    """What goes by *limits*."""
    staying = _protected(seen, limits, moment)
    going = {image: why for image in seen.images if image not in staying and (why := _why(image, limits, moment))}
    things = _things(seen, going, limits, moment)
    if limits.max_size is not None:
        things = _shrink(seen, going, things, staying, limits, moment)
    return Choice(going, staying if limits.any else {}, things)


def rest(seen: Survey, going: dict[ImageHere, str], limits: Limits, moment: Moment) -> tuple[Going, ...]:
    """What goes once the images in *going* have gone: of a survey that was taken after that, *going* is empty."""
    return _things(seen, going, limits, moment)


def _protected(seen: Survey, limits: Limits, moment: Moment) -> dict[ImageHere, str]:
    """Images that no limit takes, with the reason."""
    found: dict[ImageHere, str] = {}
    last: dict[str, list[ImageHere]] = {}
    for image in reversed(seen.images):  # from the last used one
        for name in image.names:
            last.setdefault(name, []).append(image)
    for image in seen.images:
        pin = seen.pin_of(image)
        kept = [name for name in image.names if image in last[name][: limits.keep_last or 0]]
        if pin is not None:
            found[image] = f"pinned as {pin.name}"
        elif not image.ours:
            found[image] = "not made by Coopery"
        elif image.used >= moment.safe:
            found[image] = "in use, or used just now"
        elif kept:
            found[image] = f"among the last {limits.keep_last} of {kept[0]}"
    return found


def _why(image: ImageHere, limits: Limits, moment: Moment) -> str:
    if limits.unused_for is not None:
        old = image.used < moment.now - int(limits.unused_for * 1e9)
        return UNUSED if old else ""
    if limits.keep_last is not None and limits.max_size is None:
        return f"not among the last {limits.keep_last}"
    return ""


def _things(seen: Survey, going: Iterable[ImageHere], limits: Limits, moment: Moment) -> tuple[Going, ...]:
    needs = _Needs(seen, going, moment)
    found = [Going(item, why) for name, item in seen.census.blobs.items() if (why := needs.why_blob(name))]
    found += [Going(item, why) for item in seen.census.items if (why := needs.why(item))]
    if limits.unused_for is not None:
        before = moment.now - int(limits.unused_for * 1e9)
        taken = {one.item for one in found}
        found += [Going(item, UNUSED) for item in needs.dispensable() if item.used < before and item not in taken]
    return tuple(found)


def _shrink(
    seen: Survey,
    going: dict[ImageHere, str],
    things: tuple[Going, ...],
    staying: dict[ImageHere, str],
    limits: Limits,
    moment: Moment,
) -> tuple[Going, ...]:
    """Take more, from what was used longest ago, until the whole is small enough or nothing may go."""
    too_much = seen.census.total - (limits.max_size or 0) - sum(one.item.size for one in things)
    chosen = {one.item: one for one in things}
    for item in sorted(_Needs(seen, going, moment).dispensable(), key=lambda item: (item.used, item.name)):
        if too_much <= 0:
            break
        if item not in chosen and item.kind != "indexes":  # they take nothing, and save cutting
            chosen[item] = Going(item, TOO_MUCH)
            too_much -= item.size
    for image in seen.images:
        if too_much <= 0:
            break
        if image in going or image in staying:
            continue
        going[image] = TOO_MUCH
        for one in _things(seen, going, limits, moment):
            if one.item not in chosen:
                chosen[one.item] = one
                too_much -= one.item.size
    return tuple(chosen.values())


class _Needs:
    """What is needed once the images in *going* have gone."""

    def __init__(self, seen: Survey, going: Iterable[ImageHere], moment: Moment) -> None:
        gone = set(going)
        stay = [image for image in seen.images if image not in gone]
        self._seen = seen
        self._safe = moment.safe
        self._strong = frozenset[str]().union(*(image.blobs for image in stay))
        layers = self._strong.union(*(image.diff_ids for image in stay))
        twins = {blob for blob, of in seen.twins.items() if of & layers}
        self._weak = frozenset((twins | (layers & seen.census.blobs.keys())) - self._strong)
        self._fresh = frozenset(name for name, item in seen.census.blobs.items() if item.used >= moment.safe)
        self._layers = layers | self._weak | self._fresh
        self._noted = frozenset[str]().union(*(named for item, named in self._bound() if self._is_whole(item)))
        self._images = {image.image.removeprefix("sha256:") for image in stay if image.image is not None}
        self._packages = seen.pinned_packages.union(*(image.artifacts for image in stay))

    def why_blob(self, name: str) -> str:
        """Why the blob goes; empty: it stays."""
        needed = name in self._strong or name in self._weak or name in self._fresh or name in self._noted
        return "" if needed else "no image needs it"

    def why(self, item: Item) -> str:
        """Why an entry of a shelf goes that no limit chose; empty: it stays."""
        if item.shelf is None or item.used >= self._safe:
            return ""
        if item.shelf.passing:
            return "left behind by a process that was killed"
        useless = {
            "artifact": item.stem not in self._packages,
            "image": item.stem not in self._images,
            "layer": item.stem not in self._layers,
            "blobs": not self._is_whole(item.name),
            "nobody": False,
        }
        return "nothing that is here needs it" if useless[item.shelf.needed_by] else ""

    def dispensable(self) -> list[Item]:
        """What can be made or fetched again and that no pin keeps: other forms of layers, packages, bytecode, logs."""
        weak = [self._seen.census.blobs[name] for name in self._weak]
        entries = [
            item
            for item in self._seen.census.items
            if item.shelf is not None and item.shelf.needed_by in _MADE_AGAIN and not item.shelf.passing
        ]
        pinned = self._seen.pinned_packages
        return [item for item in (*weak, *entries) if item.used < self._safe and item.stem not in pinned]

    def _bound(self) -> Iterable[tuple[str, frozenset[str]]]:
        return ((name, named) for name, (_, named) in self._seen.bound.items())

    def _is_whole(self, name: str) -> bool:
        """Whether every layer that an index's or snapshot's file names is here and stays."""
        needed = self._seen.bound.get(name, (frozenset(), frozenset()))[0]
        return needed <= self._strong | self._weak | self._fresh
