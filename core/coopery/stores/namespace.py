"""A part of a store that knows nothing of the others: tenants, teams, trials."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Final, cast

from attrs import evolve

from coopery.cache import Attaching, Cache, Kind, Record, StoreAbilities
from coopery.errors import UsageError
from coopery.leases import Claim, Lease, Leases, Outcome

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def checked(namespace: str) -> str:
    """*namespace*, if it is the name of one.

    Raises:
        UsageError: it is not.
    """
    if not _NAME.fullmatch(namespace):
        raise UsageError(f"namespace={namespace[:80]}: expected up to 64 letters, digits, hyphens and underscores")
    return namespace


class Namespace:
    """Records and leases of *inner* whose names begin with ``ns.NAMESPACE.``, by what follows it.

    It keeps names apart, not people: whoever may write in the store may write in each of its namespaces. Keys and image
    ids, which are all names outside of namespaces, never begin so.

    For stores that have no namespaces of their own. One whose server keeps them apart better does it itself.

    Args:
        inner: the store.
        namespace: its name, without a dot.

    Raises:
        UsageError: that is no name of one.
    """

    scheme: ClassVar[str] = "namespace"

    def __init__(self, inner: Cache, namespace: str) -> None:
        self._inner = inner
        self._namespace = checked(namespace)
        self._prefix = f"ns.{namespace}."

    @classmethod
    def from_url(cls, url: str, home: Path, notice: Callable[[str], None]) -> Namespace:  # noqa: ARG003 - the protocol's
        """None: it is asked for as an option of another store."""
        raise UsageError(f"{url}: write ?namespace=NAME behind the store that is meant")

    def __repr__(self) -> str:
        return f"Namespace({self._inner!r}, {self._namespace!r})"

    @property
    def abilities(self) -> StoreAbilities:
        """Those of the store."""
        return self._inner.abilities

    # --- records ------------------------------------------------------------------------------------

    def get(self, kind: Kind, name: str, generation: int | None = None) -> Record | None:
        """See `coopery.cache.Cache.get`."""
        found = self._inner.get(kind, self._prefix + name, generation)
        return None if found is None else evolve(found, name=name)

    def put(self, record: Record, expected: int) -> Record:
        """See `coopery.cache.Cache.put`."""
        kept = self._inner.put(evolve(record, name=self._prefix + record.name), expected)
        return evolve(kept, name=record.name)

    def delete(self, kind: Kind, name: str) -> bool:
        """See `coopery.cache.Cache.delete`."""
        return self._inner.delete(kind, self._prefix + name)

    def list(self, kind: Kind, prefix: str = "") -> Iterator[Record]:
        """See `coopery.cache.Cache.list`."""
        for found in self._inner.list(kind, self._prefix + prefix):
            yield evolve(found, name=found.name.removeprefix(self._prefix))

    def close(self) -> None:
        """See `coopery.cache.Cache.close`."""
        self._inner.close()

    # --- what it may keep besides --------------------------------------------------------------------

    @property
    def images(self) -> str:
        """Where the store keeps images; all its namespaces share them, since an image is a function of its lock."""
        return str(getattr(self._inner, "images", ""))

    def attach(self, kind: Kind, name: str, files: Mapping[str, bytes]) -> None:
        """See `coopery.cache.Attaching.attach`."""
        cast("Attaching", self._inner).attach(kind, self._prefix + name, files)

    def attached(self, kind: Kind, name: str, what: str) -> bytes | None:
        """See `coopery.cache.Attaching.attached`."""
        return cast("Attaching", self._inner).attached(kind, self._prefix + name, what)

    # --- leases, where the store has them -----------------------------------------------------------

    @property
    def _leases(self) -> Leases:
        return cast("Leases", self._inner)

    def acquire(self, name: str, owner: str, ttl: float) -> Claim:
        """See `coopery.leases.Leases.acquire`."""
        claim = self._leases.acquire(self._prefix + name, owner, ttl)
        return claim if claim.lease is None else evolve(claim, lease=evolve(claim.lease, name=name))

    def renew(self, lease: Lease, ttl: float) -> bool:
        """See `coopery.leases.Leases.renew`."""
        return self._leases.renew(self._outside(lease), ttl)

    def release(self, lease: Lease, outcome: Outcome) -> None:
        """See `coopery.leases.Leases.release`."""
        self._leases.release(self._outside(lease), outcome)

    def outcome(self, name: str, after: int) -> Outcome | None:
        """See `coopery.leases.Leases.outcome`."""
        return self._leases.outcome(self._prefix + name, after)

    def _outside(self, lease: Lease) -> Lease:
        return evolve(lease, name=self._prefix + lease.name)
