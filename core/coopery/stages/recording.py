"""The last stage of a build: what was made is recorded, for everybody or, where it only stands in, for one place.

A record is written once in each generation, by compare-and-set. Who was slower has the winner's; who had to make again
what is recorded, since its bytes could not be had here, changes no record: where the bytes came out otherwise, as those
of a ``run:`` step may, or as those on a base that cannot be had any more as it was, it is noted for this one place what
stands there for the recorded image. Machines that each have another base would else write generations by turns, for
ever, and never have a hit.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from coopery import keeping, records
from coopery.digest import short
from coopery.errors import CacheError
from coopery.events import Emit, Warned
from coopery.flights.whereabouts import whereabouts
from coopery.image import Made
from coopery.ledger import image as as_image
from coopery.place import Presence

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.digest import Digest
    from coopery.image import Image
    from coopery.lock import Lock
    from coopery.place import Place
    from coopery.records import Resolution


@frozen
class Draft:
    """What was made, and what was recorded before.

    Attributes:
        made: to be recorded; the place has confirmed its image.
        asked: the lock that it was made under, before anything was built from sources.
        before: what is recorded and would do, where that was to be made again.
        newest: generation of the newest record, even of one that does not read back; 0: there is none.
    """

    made: Resolution
    asked: Lock | None
    before: Resolution | None
    newest: int

    @property
    def again(self) -> bool:
        """Whether it is what is recorded, made again: nobody asked for a choice anew."""
        return self.before is not None and answers(self.before, self.made.base, self.asked, self.made.stale)

    def repeats(self, known: Resolution) -> bool:
        """Whether it stands on the base of *known*, with its packages."""
        made = self.made
        return terms(known.base, known.lock, known.stale) == terms(made.base, self.asked, made.stale)


def answers(known: Resolution, base: Digest, lock: Lock | None, stale: tuple[str, ...]) -> bool:
    """Whether what stands on *base*, with the packages of *lock*, is *known* made again.

    It is where the same was chosen; and where the base of *known*, which would do, was not to be had: it is no tag that
    moved, since that is fetched by its digest, but what a Dockerfile gives today, or a mirror of Debian's.
    """
    return known.base != base or terms(known.base, known.lock, known.stale) == terms(base, lock, stale)


def terms(base: Digest, lock: Lock | None, stale: tuple[str, ...]) -> tuple[str, ...]:
    """What tells one resolution from another: what was chosen, and nothing of what was then made of it."""
    return (base, lock.digest if lock is not None else "", *stale)


def record(builder: Builder, place: Place, draft: Draft, emit: Emit) -> Image | None:
    """Record *draft*; the image to use from now on. A record that cannot be written costs no image.

    Returns:
        None where somebody was faster, on another base or with other packages, and that image is not in *place*: it is
        to be made here too.
    """
    try:
        found = _record(builder, place, draft, emit)
    except CacheError as exc:
        message = f"the image is made, but could not be recorded: {exc.message}"
        emit(Warned(key=draft.made.key, message=message))
        found = evolve(as_image(draft.made, draft.made.placement), cached=False)
    if found is None:
        return None
    counts = Counter(layer.made for layer in draft.made.layers)
    return evolve(found, hit=False, made=Made(layers_made=counts[True], layers_reused=counts[False]))


def _record(builder: Builder, place: Place, draft: Draft, emit: Emit) -> Image | None:
    made = draft.made
    winner = draft.before if draft.again else _publish(builder, draft)
    builder.ledger.record(made.image, made.placement)
    if winner is None or winner.image == made.image:
        return as_image(winner or made, made.placement)
    if not draft.again and _has(place, winner):
        return as_image(winner, winner.placement)
    return _stand_in(builder, winner, made, emit) if draft.again or draft.repeats(winner) else None


def _publish(builder: Builder, draft: Draft) -> Resolution | None:
    """Record it for everybody; what is recorded, which is the winner's when somebody was faster."""
    keeping.send(builder, draft.made)
    return records.resolution(builder.cache.put(draft.made.to_record(), draft.newest))


def _stand_in(builder: Builder, known: Resolution, made: Resolution, emit: Emit) -> Image:
    """Note that *made* stands for *known* in this place, which told nobody else anything new."""
    whereabouts(builder.home.root, made.placement.place, make=True)
    builder.ledger.put_stand_in(known, made)
    why = "a step, or a package that is built, gave other bytes"
    if known.base != made.base:
        why = f"its base, {short(known.base)}, cannot be had any more as it was, and is now {short(made.base)}"
    message = (
        f"the image that is recorded, {short(known.image)}, could not be had here and was made again from its record,"
        f" but {why}: here it is {short(made.image)}. Push the recorded one to a registry from where it is, and other"
        " machines fetch it; or build with --rebuild: that is the next generation, for everybody"
    )
    emit(Warned(key=known.key, message=message))
    made = evolve(made, generation=known.generation)
    return as_image(made, made.placement, known.image)


def _has(place: Place, other: Resolution) -> bool:
    """Whether the image of *other* is in *place* too, under the digest that *other* has for it."""
    placed = other.placement
    return placed.place == place.name and place.exists(other.image, placed.digest) is Presence.YES
