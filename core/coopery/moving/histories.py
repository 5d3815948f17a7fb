"""Records from one store into another: whole histories, by compare-and-set; whoever was there first stays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from coopery import records
from coopery.errors import CacheError, NotFound, UsageError
from coopery.moving.cargo import History

if TYPE_CHECKING:
    from coopery.cache import Cache, Record

_TRIES = 3


@frozen
class Wanted:
    """Which records.

    Attributes:
        refs: beginnings of keys, or names of definitions; empty: all.
        since: seconds since 1970; only what was written later; 0: whenever.
    """

    refs: tuple[str, ...] = ()
    since: float = 0.0

    def takes(self, record: Record) -> bool:
        """Whether the resolution *record* is wanted."""
        if record.written < self.since:
            return False
        return not self.refs or any(_is(ref, record) for ref in self.refs)


@frozen
class Merged:
    """What became of records.

    Attributes:
        written: records that were not there.
        present: records that were.
        conflicts: names whose records differ, each with what is there and what came; the former stays.
    """

    written: int
    present: int
    conflicts: tuple[str, ...]


def read(cache: Cache, wanted: Wanted) -> tuple[History, ...]:
    """The histories of all resolutions in *cache* that are wanted, by name.

    Raises:
        NotFound: a ref that nothing answers to.
        UsageError: the store cannot list its records.
        CacheError: it cannot be asked.
    """
    if not cache.abilities.list:
        raise UsageError(f"{cache!r} cannot list its records", remedy="copy from a store that can")
    found = [record for record in cache.list("resolution") if wanted.takes(record)]
    for ref in wanted.refs:
        if not any(_is(ref, record) for record in found):
            late = " since then" if wanted.since else ""
            raise NotFound(
                f"{cache!r}: nothing is recorded{late} under {ref!r}, as a name or as the beginning of a key",
                remedy="coopery list shows what is known",
            )
    return tuple(history(cache, record) for record in found)


def placements(cache: Cache, histories: Iterable[History]) -> tuple[History, ...]:
    """The placements in *cache* of the images in *histories*, with their histories."""
    images = dict.fromkeys(known.image for known in resolutions(histories))
    found = (record for image in images for record in cache.list("placement", records.placement_name(image, "")))
    # What only stands for an image in one place of one machine says nothing elsewhere.
    return tuple(history(cache, record) for record in found if records.placement(record) is not None)


def history(cache: Cache, newest: Record) -> History:
    """*newest* and what *cache* still has of the generations before it."""
    if not cache.abilities.history:
        return (newest,)
    earlier = (cache.get(newest.kind, newest.name, number) for number in range(1, newest.generation))
    return (*(record for record in earlier if record is not None), newest)


def resolutions(histories: Iterable[History]) -> Iterator[records.Resolution]:
    """All resolutions in *histories* that read back."""
    for one in histories:
        for record in one:
            known = records.resolution(record) if record.kind == "resolution" else None
            if known is not None:
                yield known


def merge(cache: Cache, histories: Iterable[History]) -> Merged:
    """Write *histories* into *cache* where it has not got them.

    A name that both have is brought up to date where one history is the beginning of the other, and is a conflict
    where they part. Compare-and-set on each generation: a writer who comes between is seen, and the name looked at
    again.

    Raises:
        CacheError: the store failed; what was written before stays, and the next call goes on.
    """
    written = present = 0
    conflicts: list[str] = []
    for one in histories:
        added, was_there, parted = _merge(cache, one)
        written, present = written + added, present + was_there
        conflicts += [parted] if parted else []
    return Merged(written, present, tuple(conflicts))


def conflict(cache: Cache, new: History) -> str:
    """Why *new* would not be taken now, in words; empty where it would, or is there."""
    held = cache.get(new[-1].kind, new[-1].name)
    return _obstacle(cache, held.generation if held is not None else 0, new)


def _merge(cache: Cache, new: History) -> tuple[int, int, str]:
    """How many of *new* were written, how many were there, and the conflict in words."""
    kind, name = new[-1].kind, new[-1].name
    written = 0
    for _ in range(_TRIES):
        held = cache.get(kind, name)
        newest = held.generation if held is not None else 0
        if parted := _obstacle(cache, newest, new):
            return written, 0, parted
        for record in (record for record in new if record.generation > newest):
            if cache.put(record, record.generation - 1) != record:
                break  # somebody else was faster: look again
            written += 1
        else:
            return written, len(new) - written, ""
    raise CacheError(f"{kind} {name[:80]!r}: others write it as fast as we do", remedy="copy again")


def _obstacle(cache: Cache, newest: int, new: History) -> str:
    """Where *new* and what is there, up to *newest*, part, or what is missing between them; empty: nothing."""
    what = f"{new[-1].kind} {new[-1].name}"
    for record in new:
        if record.generation > newest:
            gap = record.generation != newest + 1
            return f"{what}: generation {record.generation} came without those before it" if gap else ""
        held = cache.get(record.kind, record.name, record.generation)
        if held is not None and substance(held) != substance(record):
            return f"{what}: generation {record.generation} there is {_told(held)}; {_told(record)} was not copied"
    return ""


def substance(record: Record) -> object:
    """What makes two records of one name and generation the same: not who wrote it, when, and where its log is."""
    known = records.resolution(record)
    if record.kind != "resolution" or known is None:
        return record.body
    return known.image, known.base, known.lock.digest if known.lock is not None else None, known.stale


def _told(record: Record) -> str:
    what = record.body.get("image") or record.body.get("digest") or "something else"
    return f"{str(what)[:19]} by {record.writer or 'somebody'}"


def _is(ref: str, record: Record) -> bool:
    return record.name.startswith(ref) or record.body.get("name") == ref


def keys(histories: Sequence[History]) -> tuple[str, ...]:
    """The keys in *histories*, each once."""
    return tuple(dict.fromkeys(records.key_of(one[-1].name) for one in histories if one[-1].kind == "resolution"))
