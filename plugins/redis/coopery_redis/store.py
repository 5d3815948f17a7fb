"""The Redis store: records and leases of many machines. See ``docs/redis.md``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar, Self

from coopery.cache import Kind, Record, StoreAbilities
from coopery.leases import Claim, Lease, Outcome
from coopery_redis.address import Address, parse
from coopery_redis.claims import ClaimTable
from coopery_redis.records import RecordTable
from coopery_redis.server import Server


class RedisCache:
    """Records and leases in one namespace of a Redis server: a Cache and Leases in one object.

    Connecting is left to the first use, and is safe in threads and across forks.

    Args:
        address: of the server.
        notice: told in a sentence when something damaged was found.
        clock: monotonic seconds, for expiry.
    """

    scheme: ClassVar[str] = "redis"
    abilities: ClassVar[StoreAbilities] = StoreAbilities(leases=True)

    def __init__(
        self,
        address: Address,
        notice: Callable[[str], None] = lambda _text: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = Server(address)
        self._records = RecordTable(self._server, notice)
        self._claims = ClaimTable(self._server, clock)

    @classmethod
    def from_url(cls, url: str, home: Path, notice: Callable[[str], None]) -> Self:  # noqa: ARG003 - the protocol's
        """See `coopery_redis.address`. Nothing is connected to.

        Raises:
            UsageError: no address, or an unknown option.
        """
        return cls(parse(url), notice)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._server.address.shown!r})"

    # --- records ------------------------------------------------------------------------------------

    def get(self, kind: Kind, name: str, generation: int | None = None) -> Record | None:
        """See `coopery.cache.Cache.get`."""
        return self._records.get(kind, name, generation)

    def put(self, record: Record, expected: int) -> Record:
        """See `coopery.cache.Cache.put`."""
        return self._records.put(record, expected)

    def delete(self, kind: Kind, name: str) -> bool:
        """See `coopery.cache.Cache.delete`."""
        return self._records.delete(kind, name)

    def list(self, kind: Kind, prefix: str = "") -> Iterator[Record]:
        """See `coopery.cache.Cache.list`."""
        return self._records.list(kind, prefix)

    def close(self) -> None:
        """See `coopery.cache.Cache.close`. A store that is used again connects again."""
        self._server.close()

    # --- leases -------------------------------------------------------------------------------------

    def acquire(self, name: str, owner: str, ttl: float) -> Claim:
        """See `coopery.leases.Leases.acquire`."""
        return self._claims.acquire(name, owner, ttl)

    def renew(self, lease: Lease, ttl: float) -> bool:
        """See `coopery.leases.Leases.renew`."""
        return self._claims.renew(lease, ttl)

    def release(self, lease: Lease, outcome: Outcome) -> None:
        """See `coopery.leases.Leases.release`."""
        self._claims.release(lease, outcome)

    def outcome(self, name: str, after: int) -> Outcome | None:
        """See `coopery.leases.Leases.outcome`."""
        return self._claims.outcome(name, after)


class RedisTlsCache(RedisCache):
    """The same by TLS."""

    scheme: ClassVar[str] = "rediss"
