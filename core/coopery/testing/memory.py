"""The reference store: records and leases in memory, in the fewest lines that satisfy the protocols.

Several stores over one `Shelf` are several users of one store. It is for tests, and to be read before writing a store.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

from attrs import define, evolve, field

from coopery.cache import Kind, Record, StoreAbilities
from coopery.errors import CacheError
from coopery.leases import Claim, Lease, Outcome


@define
class _Held:
    """One name's lease: who has it, how often it was renewed, and what the last to release it left."""

    token: int = 0
    owner: str = ""
    ttl: float = 0.0
    beat: int = 0
    held: bool = False
    outcome: Outcome | None = None


@define
class Shelf:
    """What all users of one store share."""

    records: dict[tuple[str, str], list[Record]] = field(factory=dict)
    leases: dict[str, _Held] = field(factory=dict)
    lock: threading.RLock = field(factory=threading.RLock)


class MemoryCache:
    """One user of a `Shelf`."""

    scheme: ClassVar[str] = "memory"
    abilities: ClassVar[StoreAbilities] = StoreAbilities(leases=True)

    def __init__(self, shelf: Shelf | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.shelf = shelf or Shelf()
        self._clock = clock
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}

    @classmethod
    def from_url(cls, url: str, home: Path, notice: Callable[[str], None]) -> MemoryCache:  # noqa: ARG003 - the protocol's
        """A store of its own."""
        return cls()

    # --- records ------------------------------------------------------------------------------------

    def get(self, kind: Kind, name: str, generation: int | None = None) -> Record | None:
        """See `coopery.cache.Cache.get`."""
        with self.shelf.lock:
            kept = self.shelf.records.get((kind, name), [])
            matching = [record for record in kept if generation in (None, record.generation)]
            return matching[-1] if matching else None

    def put(self, record: Record, expected: int) -> Record:
        """See `coopery.cache.Cache.put`."""
        with self.shelf.lock:
            newest = self.get(record.kind, record.name)
            if newest is not None and newest.generation != expected:
                return newest
            if (newest is None and expected) or record.generation != expected + 1:
                raise CacheError(f"{record.name}: generation {record.generation} cannot follow {expected} here")
            copy = evolve(record, body=_plain(record.body))
            self.shelf.records.setdefault((record.kind, record.name), []).append(copy)
            return record

    def delete(self, kind: Kind, name: str) -> bool:
        """See `coopery.cache.Cache.delete`."""
        with self.shelf.lock:
            return self.shelf.records.pop((kind, name), None) is not None

    def list(self, kind: Kind, prefix: str = "") -> Iterator[Record]:
        """See `coopery.cache.Cache.list`."""
        with self.shelf.lock:
            names = sorted(name for of, name in self.shelf.records if of == kind and name.startswith(prefix))
            found = [self.get(kind, name) for name in names]
        return (record for record in found if record is not None)

    def close(self) -> None:
        """See `coopery.cache.Cache.close`."""

    # --- leases -------------------------------------------------------------------------------------

    def acquire(self, name: str, owner: str, ttl: float) -> Claim:
        """See `coopery.leases.Leases.acquire`."""
        with self.shelf.lock:
            held = self.shelf.leases.setdefault(name, _Held())
            if held.held and not self._is_over(name, held):
                return Claim(None, held.owner, held.outcome, held.token)
            held.token, held.owner, held.ttl, held.held = held.token + 1, owner, ttl, True
            return Claim(Lease(name, held.token, owner), outcome=held.outcome)

    def renew(self, lease: Lease, ttl: float) -> bool:
        """See `coopery.leases.Leases.renew`."""
        with self.shelf.lock:
            held = self._mine(lease)
            if held is not None:
                held.beat, held.ttl = held.beat + 1, ttl
            return held is not None

    def release(self, lease: Lease, outcome: Outcome) -> None:
        """See `coopery.leases.Leases.release`."""
        with self.shelf.lock:
            held = self._mine(lease)
            if held is not None:
                held.held, held.outcome = False, outcome

    def outcome(self, name: str, after: int) -> Outcome | None:
        """See `coopery.leases.Leases.outcome`."""
        with self.shelf.lock:
            held = self.shelf.leases.get(name)
            left = held.outcome if held is not None else None
            return left if left is not None and left.token >= after else None

    def _mine(self, lease: Lease) -> _Held | None:
        held = self.shelf.leases.get(lease.name)
        return held if held is not None and held.held and held.token == lease.token else None

    def _is_over(self, name: str, held: _Held) -> bool:
        """Whether we have ourselves seen no sign of life for the holder's time to live."""
        now, pulse = self._clock(), (held.token, held.beat)
        seen, since = self._seen.get(name, (None, now))
        if seen != pulse:
            self._seen[name] = (pulse, now)
            return False
        return now - since >= held.ttl


def _plain(body: Any) -> Any:
    try:
        return json.loads(json.dumps(body, allow_nan=False))
    except (TypeError, ValueError) as exc:
        raise CacheError(f"a record cannot be written as JSON: {exc}") from exc
