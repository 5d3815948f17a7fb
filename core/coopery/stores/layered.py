"""Several stores as one: look here, then there, and keep a copy here on the way back.

The *authority* is the last store that can be written: it alone decides who is first. Those before it are copies, which
may lag but never win; those behind it are only read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar, cast

from attrs import evolve

from coopery.cache import Attaching, Cache, Kind, Record, StoreAbilities
from coopery.errors import CacheError, UsageError
from coopery.leases import Claim, Lease, Leases, Outcome


class Layered:
    """*stores* as one store, the nearest first.

    A record that is found near is not looked for further on: a generation that somebody has since written there is seen
    here after the next `put`, which tells of it, or once the near store forgets. A store that cannot be asked is an
    error, unless a nearer one knew; a copy that cannot be kept is only said.

    Args:
        stores: two or more.
        notice: told in a sentence of a copy that could not be kept.
    """

    scheme: ClassVar[str] = "layered"

    def __init__(self, *stores: Cache, notice: Callable[[str], None] = lambda _text: None) -> None:
        self._stores = stores
        self._notice = notice
        writable = [store for store in stores if store.abilities.writable]
        self._authority = writable[-1] if writable else stores[-1]
        self._copies = writable[:-1]
        able = [store for store in reversed(writable) if store.abilities.leases]
        self._leases = cast("Leases", able[0]) if able else None

    @classmethod
    def from_url(cls, url: str, home: Path, notice: Callable[[str], None]) -> Layered:  # noqa: ARG003 - the protocol's
        """None: it is asked for by naming several stores."""
        raise UsageError(f"{url}: write the URLs of the stores one after the other, parted by spaces")

    def __repr__(self) -> str:
        return f"Layered({', '.join(map(repr, self._stores))})"

    @property
    def abilities(self) -> StoreAbilities:
        """Those of the authority; it can list only if every store can, and has leases if any that is written has."""
        every = all(store.abilities.list for store in self._stores)
        return evolve(self._authority.abilities, list=every, leases=self._leases is not None)

    # --- records ------------------------------------------------------------------------------------

    def get(self, kind: Kind, name: str, generation: int | None = None) -> Record | None:
        """See `coopery.cache.Cache.get`. A newest record is copied into the stores that are nearer."""
        for depth, store in enumerate(self._stores):
            found = store.get(kind, name, generation)
            if found is None:
                continue
            if generation is None:
                for nearer in self._stores[:depth]:
                    self._copy(found, store, nearer)
            return found
        return None

    def put(self, record: Record, expected: int) -> Record:
        """See `coopery.cache.Cache.put`. The authority decides; what it says is copied."""
        if expected and self._authority.get(record.kind, record.name) is None:
            self._bring(record.kind, record.name)
        kept = self._authority.put(record, expected)
        for copy in self._copies:
            self._copy(kept, self._authority, copy)
        return kept

    def delete(self, kind: Kind, name: str) -> bool:
        """See `coopery.cache.Cache.delete`. The authority forgets first, so that no copy brings it back."""
        gone = [store.delete(kind, name) for store in (self._authority, *self._copies)]
        return any(gone)

    def list(self, kind: Kind, prefix: str = "") -> Iterator[Record]:
        """See `coopery.cache.Cache.list`. Of each name the highest generation that any store has."""
        newest: dict[str, Record] = {}
        for store in self._stores:
            for found in store.list(kind, prefix):
                held = newest.setdefault(found.name, found)
                if held.generation < found.generation:
                    newest[found.name] = found
        return (newest[name] for name in sorted(newest))

    def close(self) -> None:
        """See `coopery.cache.Cache.close`."""
        for store in self._stores:
            store.close()

    def _bring(self, kind: Kind, name: str) -> None:
        """Tell an authority that has forgotten a name, or never heard of it, what the others know."""
        for store in self._stores:
            held = store.get(kind, name) if store is not self._authority else None
            if held is not None:
                self._copy(held, store, self._authority)
                return

    def _copy(self, record: Record, source: Cache, copy: Cache) -> None:
        """Make *record* the newest in *copy*, with those before it; where that cannot be, have it know nothing."""
        if not copy.abilities.writable:
            return
        try:
            held = copy.get(record.kind, record.name)
            if held == record:
                return
            if held is not None and held != source.get(record.kind, record.name, held.generation):
                copy.delete(record.kind, record.name)
                held = None
            for generation in range(held.generation + 1 if held is not None else 1, record.generation + 1):
                one = record
                if generation < record.generation:
                    earlier = source.get(record.kind, record.name, generation)
                    if earlier is None:
                        copy.delete(record.kind, record.name)
                        return
                    one = earlier
                copy.put(one, generation - 1)
        except CacheError as exc:
            self._notice(f"{record.kind} {record.name[:80]!r} was not copied into {copy!r}: {exc}")

    # --- what the authority may keep besides ----------------------------------------------------------

    @property
    def images(self) -> str:
        """Where the authority keeps images; empty where it does not."""
        return str(getattr(self._authority, "images", ""))

    def attach(self, kind: Kind, name: str, files: Mapping[str, bytes]) -> None:
        """See `coopery.cache.Attaching.attach`."""
        cast("Attaching", self._authority).attach(kind, name, files)

    def attached(self, kind: Kind, name: str, what: str) -> bytes | None:
        """See `coopery.cache.Attaching.attached`."""
        return cast("Attaching", self._authority).attached(kind, name, what)

    # --- leases -------------------------------------------------------------------------------------

    def acquire(self, name: str, owner: str, ttl: float) -> Claim:
        """See `coopery.leases.Leases.acquire`."""
        return self._claimed().acquire(name, owner, ttl)

    def renew(self, lease: Lease, ttl: float) -> bool:
        """See `coopery.leases.Leases.renew`."""
        return self._claimed().renew(lease, ttl)

    def release(self, lease: Lease, outcome: Outcome) -> None:
        """See `coopery.leases.Leases.release`."""
        self._claimed().release(lease, outcome)

    def outcome(self, name: str, after: int) -> Outcome | None:
        """See `coopery.leases.Leases.outcome`."""
        return self._claimed().outcome(name, after)

    def _claimed(self) -> Leases:
        if self._leases is None:
            raise CacheError(f"{self!r}: none of these stores has leases")
        return self._leases
