"""A store whose records are signed: a reader believes those of whom it trusts, whoever else may write there.

Each record is kept as text, with the signature over that text, in the body of a record of the store. What is not
signed, is signed by strangers, or says another name than it stands under, is passed over as if it was not there.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, cast

from attrs import evolve, frozen

from coopery.cache import Attaching, Cache, Kind, Record, StoreAbilities
from coopery.errors import CacheError, UsageError
from coopery.leases import Claim, Lease, Leases, Outcome
from coopery.stores.rows import NAMED, named, pack
from coopery.stores.signatures import Keys

_MARK: Final = b"coopery.signed-record.v1\0"
_ROUNDS: Final = 50
_MOST: Final = 1_000
"""Records of one name that are looked through, those of strangers among them."""


@frozen
class _Top:
    """The newest record that is believed, and the newest generation that there is, whoever wrote it."""

    believed: Record | None
    generation: int


class Signed:
    """Records of *inner* that are signed by somebody who is trusted.

    Generations are counted by those records alone. Who may write in the store can take records away, or put an older
    signed one back by deleting what followed; no wrong one is ever believed.

    Args:
        inner: the store.
        keys: who signs, and whom one trusts. Without a key to sign with, the store is only read.
        notice: told in a sentence of what is passed over.
    """

    scheme: ClassVar[str] = "signed"

    def __init__(self, inner: Cache, keys: Keys, notice: Callable[[str], None] = lambda _text: None) -> None:
        self._inner = inner
        self._keys = keys
        self._notice = notice

    @classmethod
    def from_url(cls, url: str, home: Path, notice: Callable[[str], None]) -> Signed:  # noqa: ARG003 - the protocol's
        """None: it is asked for as an option of another store."""
        raise UsageError(f"{url}: write ?trust=FILE, or ?sign=FILE, behind the store that is meant")

    def __repr__(self) -> str:
        return f"Signed({self._inner!r})"

    @property
    def abilities(self) -> StoreAbilities:
        """Those of the store; without a key nothing is written, and nobody held up."""
        found = self._inner.abilities
        if self._keys.can_sign:
            return found
        return evolve(found, leases=False, writable=False)

    # --- records ------------------------------------------------------------------------------------

    def get(self, kind: Kind, name: str, generation: int | None = None) -> Record | None:
        """See `coopery.cache.Cache.get`."""
        for held in self._down(kind, name):
            found = self._believed(held)
            if found is not None and generation in (None, found.generation):
                return found
            if found is not None and generation is not None and found.generation < generation:
                return None
        return None

    def put(self, record: Record, expected: int) -> Record:
        """See `coopery.cache.Cache.put`. Generations of strangers are written over."""
        if record.generation != expected + 1:
            raise CacheError(f"{_title(record)}: generation {record.generation} cannot follow {expected}")
        body = self._sealed(record)
        for _ in range(_ROUNDS):
            top = self._top(record.kind, record.name)
            if top.believed is not None and top.believed.generation != expected:
                return top.believed
            if top.believed is None and expected:
                raise CacheError(
                    f"{_title(record)}: generation {expected} was deleted meanwhile",
                    remedy="build again to record it anew",
                )
            wrapped = evolve(record, generation=top.generation + 1, body=body)
            kept = self._believed(self._inner.put(wrapped, top.generation))
            if kept is not None and kept.generation >= record.generation:
                return kept
        raise CacheError(f"{_title(record)}: strangers write it all the time", remedy="see who may write in this store")

    def delete(self, kind: Kind, name: str) -> bool:
        """See `coopery.cache.Cache.delete`. What strangers wrote goes too.

        Raises:
            CacheError: also where there is no key to sign with.
        """
        if not self._keys.can_sign:
            self._keys.sign(b"")
        known = self._top(kind, name).believed is not None
        return self._inner.delete(kind, name) and known

    def list(self, kind: Kind, prefix: str = "") -> Iterator[Record]:
        """See `coopery.cache.Cache.list`."""
        _ = self._keys.trusted
        for held in self._inner.list(kind, prefix):
            found = self._believed(held) or self.get(kind, held.name)
            if found is not None:
                yield found

    def close(self) -> None:
        """See `coopery.cache.Cache.close`."""
        self._inner.close()

    # --- signatures ---------------------------------------------------------------------------------

    def _sealed(self, record: Record) -> dict[str, Any]:
        data, _ = pack(named(record), record.kind, record.name)
        key, signature = self._keys.sign(_MARK + data)
        return {"signed": data.decode(), "key": key, "signature": base64.b64encode(signature).decode()}

    def _believed(self, held: Record) -> Record | None:
        """The record that *held* carries, if somebody who is trusted signed it, for this very name."""
        found = self._opened(held)
        if found is None or (found.kind, found.name) != (held.kind, held.name):
            self._notice(f"{_title(held)}: not signed by anybody who is trusted here, and passed over")
            return None
        return found

    def _opened(self, held: Record) -> Record | None:
        text, key, encoded = (held.body.get(part) for part in ("signed", "key", "signature"))
        if not (isinstance(text, str) and isinstance(key, str) and isinstance(encoded, str)):
            return None
        try:
            data, signature = text.encode(), base64.b64decode(encoded, validate=True)
        except (ValueError, binascii.Error):
            return None
        if not self._keys.is_signed(key, signature, _MARK + data):
            return None
        fields = json.loads(data)  # whoever is trusted wrote it, as `_sealed` does
        return Record(**fields) if fields.keys() == NAMED else None

    def _down(self, kind: Kind, name: str) -> Iterator[Record]:
        """The store's records of *name*, the newest first, as far as it keeps older ones. A wrong key file is said."""
        _ = self._keys.trusted
        held = self._inner.get(kind, name)
        for _ in range(_MOST):
            if held is None:
                return
            yield held
            older = held.generation - 1
            held = self._inner.get(kind, name, older) if older and self._inner.abilities.history else None

    def _top(self, kind: Kind, name: str) -> _Top:
        newest = 0
        for held in self._down(kind, name):
            newest = newest or held.generation
            found = self._believed(held)
            if found is not None:
                return _Top(found, newest)
        return _Top(None, newest)

    # --- what the store may keep besides ------------------------------------------------------------

    @property
    def images(self) -> str:
        """Where the store keeps images. They need no signature: a record names them by digest."""
        return str(getattr(self._inner, "images", ""))

    def attach(self, kind: Kind, name: str, files: Mapping[str, bytes]) -> None:
        """See `coopery.cache.Attaching.attach`. What is attached is not signed; nothing rests on it."""
        cast("Attaching", self._inner).attach(kind, name, files)

    def attached(self, kind: Kind, name: str, what: str) -> bytes | None:
        """See `coopery.cache.Attaching.attached`."""
        return cast("Attaching", self._inner).attached(kind, name, what)

    # --- leases, where the store has them -----------------------------------------------------------

    @property
    def _leases(self) -> Leases:
        return cast("Leases", self._inner)

    def acquire(self, name: str, owner: str, ttl: float) -> Claim:
        """See `coopery.leases.Leases.acquire`."""
        return self._leases.acquire(name, owner, ttl)

    def renew(self, lease: Lease, ttl: float) -> bool:
        """See `coopery.leases.Leases.renew`."""
        return self._leases.renew(lease, ttl)

    def release(self, lease: Lease, outcome: Outcome) -> None:
        """See `coopery.leases.Leases.release`."""
        self._leases.release(lease, outcome)

    def outcome(self, name: str, after: int) -> Outcome | None:
        """See `coopery.leases.Leases.outcome`."""
        return self._leases.outcome(name, after)


def _title(record: Record) -> str:
    return f"{record.kind} {record.name[:80]!r}"
