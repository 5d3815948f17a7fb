"""What is recorded, and whether it still holds: records joined with the one place that must confirm them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from coopery import records
from coopery.errors import CacheError, NotFound, UsageError
from coopery.image import Image
from coopery.place import Presence
from coopery.records import Placement, Resolution

if TYPE_CHECKING:
    from coopery.cache import Cache, Record
    from coopery.digest import Digest
    from coopery.layer import Layer
    from coopery.lock import Lock
    from coopery.place import Place


@frozen
class Details:
    """What is recorded of one key, and whether its image still exists in this builder's place.

    ``placements`` are all places that are recorded to have it, registries among them; a list of keys leaves them out.
    """

    key: str
    name: str
    exists: bool
    generation: int
    image: Image
    lock: Lock | None
    layers: tuple[Layer, ...]
    written: float
    writer: str
    notes: tuple[str, ...]
    log: str
    placements: tuple[Placement, ...] = ()


class Ledger:
    """The records of one cache store, seen from one place."""

    def __init__(self, cache: Cache, place: Place, where: Callable[[], str] = lambda: "") -> None:
        self.cache = cache
        self.place = place
        self._where = where

    def resolution(self, key: str, under: str = "") -> Resolution | None:
        """The newest resolution of *key* under that part of a lock file, or None."""
        return records.resolution(self.cache.get("resolution", records.resolution_name(key, under)))

    def known(self, key: str, under: str = "") -> Iterator[Resolution]:
        """What may be believed of *key*: its resolution under that part of a lock file, then one that it is made of."""
        found = self.resolution(key, under)
        if found is not None:
            yield found
        found = self.resolution(key) if under else None
        if found is not None and found.locked_as == under:
            yield found

    def newest(self, key: str) -> Resolution | None:
        """The resolution of *key* that was written last, whatever lock file it was made under; or None."""
        return records.resolution(self._newest(key))

    def look(self, key: str) -> Image | None:
        """The image of *key*, if it is known and really there: see `believe`."""
        known = self.newest(key)
        return None if known is None else self.believe(known)

    def believe(self, known: Resolution) -> Image | None:
        """The image of *known*, if it is really there: one existence check.

        Whoever looks is going to use it: it is marked as used first, so that what is then there stays for a while.
        """
        self._mark(known.placement.digest)
        return self.locate(known, mark=True)

    def _mark(self, digest: Digest) -> None:
        """Have the place note that *digest* is used now, where it takes such notes."""
        mark: Callable[[Digest], object] | None = getattr(self.place, "mark", None)
        if mark is not None:
            mark(digest)

    def locate(self, known: Resolution, *, mark: bool = False) -> Image | None:
        """The image of *known* in the place, or what stands for it there; None when neither is there.

        Args:
            known: what is recorded.
            mark: say that it is used now.

        Raises:
            CacheError: the place could not be asked. Not knowing is never a yes, and never a reason to build.
        """
        for placed in self._candidates(known):
            if self._has(known.image, placed):
                return image(known, placed)
        made = self.stand_in(known)
        if made is None:
            return None
        if mark:
            self._mark(made.placement.digest)
        return image(made, made.placement, known.image) if self._has(made.image, made.placement) else None

    def stand_in(self, known: Resolution) -> Resolution | None:
        """What was made again in this very place for the image of *known*, as it could not be had; None: nothing."""
        where = self._where()
        if not where:
            return None
        name = records.stand_in_name(known.image, self.place.name, where)
        return records.stand_in(self.cache.get("placement", name), known)

    def put_stand_in(self, known: Resolution, made: Resolution) -> None:
        """Remember that *made*, which the place has confirmed, stands for the image of *known* here.

        Raises:
            CacheError: the store failed.
        """
        old = self.cache.get("placement", records.stand_in_name(known.image, self.place.name, self._where()))
        generation = old.generation if old is not None else 0
        self.cache.put(records.stand_in_record(known, made, self._where(), generation + 1), generation)

    def _has(self, image: Digest, placed: Placement) -> bool:
        presence = self.place.exists(image, placed.digest)
        if presence is Presence.UNKNOWN:
            why = getattr(self.place, "reason", "")
            message = f"{self.place.name} could not be asked for image {image}" + (f": {why}" if why else "")
            raise CacheError(message, remedy=getattr(self.place, "remedy", "") or "coopery doctor says what works here")
        return presence is Presence.YES

    def record(self, image: Digest, placement: Placement) -> None:
        """Remember that *image* is at *placement*, which the place has confirmed.

        Raises:
            CacheError: the store failed.
        """
        old = self.cache.get("placement", records.placement_name(image, placement.place))
        if records.placement(old) == placement:
            return
        generation = old.generation if old is not None else 0
        self.cache.put(records.placement_record(image, placement, generation + 1), generation)

    def find(self, ref: str) -> str:
        """The one recorded key that begins with *ref*.

        Raises:
            NotFound: there is none.
            UsageError: there are several.
        """
        names = (record.name for record in self.cache.list("resolution", ref))
        return only(ref, list(dict.fromkeys(records.key_of(name) for name in names)))

    def details(self, key: str, under: str = "") -> Details:
        """What is recorded of *key* under that part of a lock file; of what was written last, where that is nothing.

        Raises:
            NotFound: nothing that reads back.
        """
        held = next(self.known(key, under), None)
        name = records.resolution_name(key, held.under) if held is not None else ""
        record = self.cache.get("resolution", name) if name else self._newest(key)
        known = records.resolution(record)
        if record is None or known is None:
            raise NotFound(f"nothing is recorded for key {key}", remedy="coopery build makes it")
        found = self._details(known, record.written, record.writer)
        return evolve(found, placements=tuple(self.placements(known)))

    def placements(self, known: Resolution) -> Iterator[Placement]:
        """Every place that is recorded to have the image of *known*, by name. None of them is asked."""
        listed = self.cache.list("placement", records.placement_name(known.image, ""))
        found = {one.place: one for one in map(records.placement, listed) if one is not None}
        yield from (one for _, one in sorted({known.placement.place: known.placement, **found}.items()))

    def list(self) -> tuple[Details, ...]:
        """Every key that is recorded, newest first."""
        read = ((record, records.resolution(record)) for record in self.cache.list("resolution"))
        found = [self._details(known, record.written, record.writer) for record, known in read if known is not None]
        return tuple(sorted(found, key=lambda details: (-details.written, details.key)))

    def _newest(self, key: str) -> Record | None:
        found = (one for one in self.cache.list("resolution", key) if records.key_of(one.name) == key)
        return max(found, key=lambda record: record.written, default=None)

    def _candidates(self, known: Resolution) -> Iterator[Placement]:
        if known.placement.place == self.place.name:
            yield known.placement
        name = records.placement_name(known.image, self.place.name)
        recorded = records.placement(self.cache.get("placement", name))
        if recorded is not None and recorded != known.placement:
            yield recorded

    def _details(self, known: Resolution, written: float, writer: str) -> Details:
        here = self.locate(known)
        return Details(
            key=known.key,
            name=known.name,
            exists=here is not None,
            generation=known.generation,
            image=here or image(known, known.placement),
            lock=known.lock,
            layers=known.layers,
            written=written,
            writer=writer,
            notes=known.notes,
            log=known.log,
        )


def image(known: Resolution, placed: Placement, instead_of: Digest | None = None) -> Image:
    """The value that callers get for *known*, at *placed*; marked as a hit.

    *instead_of* is the id that is recorded for everybody, where *known* only stands for it here.
    """
    return Image(
        key=known.key,
        id=known.image,
        reference=placed.reference,
        place=placed.place,
        digest=placed.digest,
        generation=known.generation,
        platform=known.platform,
        size=placed.size,
        layers=len(known.layers),
        lock=known.lock.digest if known.lock else None,
        interpreter=known.interpreter,
        prefix=known.prefix,
        hit=True,
        under=known.under,
        instead_of=instead_of,
    )


def only(ref: str, keys: list[str]) -> str:
    """The one of *keys* (all begin with *ref*).

    Raises:
        NotFound: there is none.
        UsageError: there are several.
    """
    if ref in keys:
        return ref
    if not keys:
        raise NotFound(f"no key begins with {ref!r}", remedy="coopery list shows the keys that are known here")
    if len(keys) > 1:
        shown = ", ".join(key[:16] for key in sorted(keys)[:5])
        raise UsageError(f"{len(keys)} keys begin with {ref!r}: {shown}", remedy="give more digits")
    return keys[0]
