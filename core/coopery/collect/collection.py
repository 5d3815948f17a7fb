"""One collection: `coopery gc`. Looks, chooses, takes away, and says what it did."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from coopery import private, use
from coopery.blobs import disk_error
from coopery.collect import census, policy, sweep
from coopery.collect.policy import Choice, Going, Limits, Moment
from coopery.collect.survey import Survey, again, survey
from coopery.digest import short
from coopery.errors import CacheError, UsageError

if TYPE_CHECKING:
    from coopery.cache import Cache
    from coopery.collect.census import Item
    from coopery.collect.images import ImageHere
    from coopery.home import Home
    from coopery.shelf import Shelf

GRACE: Final = 3600.0
"""Seconds for which everything that was made or used stays: whoever has just been told of an image can use it."""


@frozen
class Gone:
    """Images, or things of one kind, that went (or would go).

    Attributes:
        kind: ``images``, ``layers``, ``packages``, …
        name: of an image; relative path of a thing.
        size: bytes on disk. An image has none of its own: its blobs are things.
        why: in words.
    """

    kind: str
    name: str
    size: int
    why: str


@frozen
class Collected:
    """What a collection did, or would do.

    Attributes:
        dry_run: nothing was touched.
        images: images that went.
        things: everything on disk that went.
        kept: images that the limits would have taken, with the reason why they stayed: ``(name, reason)``.
        foreign: what Coopery did not make, and left alone; relative paths.
        before, after: bytes of the cache folder.
        waiting: bytes of what would have gone, but stays while others build.
    """

    dry_run: bool
    images: tuple[Gone, ...]
    things: tuple[Gone, ...]
    kept: tuple[tuple[str, str], ...]
    foreign: tuple[str, ...]
    before: int
    after: int
    waiting: int = 0

    @property
    def kinds(self) -> dict[str, tuple[int, int]]:
        """Kind → how many things went, and their bytes; the largest first."""
        count: Counter[str] = Counter()
        size: Counter[str] = Counter()
        for gone in self.things:
            count[gone.kind] += 1
            size[gone.kind] += gone.size
        return {kind: (count[kind], size[kind]) for kind in sorted(count, key=lambda kind: (-size[kind], kind))}


def collect(
    home: Home,
    cache: Cache,
    place: str,
    shelves: Iterable[Shelf],
    limits: Limits,
    *,
    dry_run: bool = False,
    grace: float = GRACE,
) -> Collected:
    """Take away what is not needed; see `coopery.collect.policy` for what that is.

    Args:
        home: the cache folder.
        cache: its records.
        place: what records call its layout.
        shelves: folders of plugins.
        limits: what images may go.
        dry_run: only say what would go.
        grace: seconds.

    Raises:
        UsageError: a negative limit.
        CacheError: the folder is not ours, or the disk or the records failed.
        IntegrityError: something is damaged, so that nobody knows what is needed. Nothing was taken.
    """
    _check(limits, grace)
    if not private.check_folder(home.root) or home.untouched:  # who is just making it says whose it is first of all
        return Collected(dry_run, (), (), (), (), 0, 0)
    if not home.signed:
        raise CacheError(
            f"{home.root}: nothing is collected in a folder that does not say that it is Coopery's (CACHEDIR.TAG)",
            remedy="name the cache folder with --home; what was there before Coopery is yours to delete",
        )
    shelves = tuple(shelves)
    try:
        if dry_run:
            seen = survey(home, cache, shelves)
            choice = policy.choose(seen, limits, _moment(home, time.time_ns(), grace, tidy=False))
            return _told(seen, choice, tuple(choice.images), [going.item for going in choice.things], dry_run=True)
        home.make()
        use.make_active(home.root)
        with use.alone(home.root / use.ACTIVE), sweep.bin_in(home.staging) as bin_:  # one collection at a time
            done = _collect(home, cache, place, shelves, limits, grace, bin_)
        return evolve(done, after=census.take(home, shelves).total)
    except OSError as exc:
        raise disk_error(exc) from exc


def _collect(
    home: Home, cache: Cache, place: str, shelves: Iterable[Shelf], limits: Limits, grace: float, bin_: Path
) -> Collected:
    moment = _moment(home, os.stat(bin_).st_mtime_ns, grace)
    seen = survey(home, cache, shelves)
    choice = policy.choose(seen, limits, moment)
    unlisted = sweep.unlist(home, choice.images, moment.safe) if choice.images else []
    _forget(cache, place, unlisted)
    left = again(seen, home, cache) if choice.images else seen
    things = _still(choice.things, policy.rest(left, {}, limits, moment))
    gone = sweep.take((going.item for going in things), bin_, home, moment.safe)
    return _told(seen, choice, unlisted, gone, dry_run=False)


def _still(chosen: Iterable[Going], now: Iterable[Going]) -> list[Going]:
    """Of what was chosen, that which nothing needs now either: an image that was used meanwhile keeps its own."""
    useless = {going.item for going in now}
    return [going for going in chosen if going.item in useless or going.why in policy.BY_LIMIT]


def _forget(cache: Cache, place: str, images: Iterable[ImageHere]) -> None:
    """The placement goes, the resolution stays: a later build gives the same lock, hence the same image."""
    from coopery import records

    for image in images:
        if image.image is not None:
            cache.delete("placement", records.placement_name(image.image, place))


def _moment(home: Home, now: int, grace: float, *, tidy: bool = True) -> Moment:
    if not home.staging.is_dir():
        return Moment(now, now - int(grace * 1e9))
    with use.alone(home.staging):
        began = use.since(home.root, tidy=tidy)
    return Moment(now, min(now, began or now) - int(grace * 1e9))


def _told(
    seen: Survey, choice: Choice, images: Iterable[ImageHere], items: Iterable[Item], *, dry_run: bool
) -> Collected:
    why = {going.item: going.why for going in choice.things}
    taken = tuple(items)
    things = tuple(Gone(seen.kind_of(item), item.name, item.size, why[item]) for item in taken)
    freed = sum(item.size for item in taken)
    return Collected(
        dry_run=dry_run,
        images=tuple(Gone("images", name_of(image), 0, choice.images[image]) for image in images),
        things=things,
        kept=tuple((name_of(image), reason) for image, reason in choice.staying.items()),
        foreign=tuple(item.name for item in seen.census.foreign),
        before=seen.census.total,
        after=seen.census.total - freed,
        waiting=choice.size - freed,
    )


def name_of(image: ImageHere) -> str:
    """What people call *image*: its names, and which generation, with digits of its id."""
    made = ", ".join(str(made) for made in image.made_as) or ", ".join(image.names)
    return f"{made} ({short(image.image or image.manifest)})"


def _check(limits: Limits, grace: float) -> None:
    for what, value in (("keep_last", limits.keep_last), ("unused_for", limits.unused_for), ("grace", grace)):
        if value is not None and value < 0:
            raise UsageError(f"{what}: expected 0 or more, got {value}")
    if limits.max_size is not None and limits.max_size < 0:
        raise UsageError(f"max_size: expected 0 or more bytes, got {limits.max_size}")
