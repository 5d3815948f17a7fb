"""The SQLite store: records and leases of all processes of one machine. See ``docs/records.md``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from coopery.cache import Kind, Record, StoreAbilities
from coopery.errors import UsageError
from coopery.stores.database import Database
from coopery.stores.records import RecordTable
from coopery.stores.schema import LEASES, RECORDS

if TYPE_CHECKING:
    from coopery.leases import Claim, Lease, Outcome
    from coopery.stores.claims import ClaimTable

FILE_NAME: Final = "records.sqlite"
_OPTION: Final = "allow_network_fs=true"


class SqliteCache:
    """Records in the SQLite database at *path*, leases in one beside it: a Cache and Leases in one object.

    Opening is left to the first use, and is safe in threads and across forks. Where the folder cannot be written,
    reading works and writing raises CacheError.

    Args:
        path: absolute; its folder is made (0700) by the first write.
        notice: told in a sentence when something damaged was found.
        own_folder: the folder is Coopery's own, and is kept from others; one that a person named is only checked.
        allow_network_fs: use it on a network file system all the same; only one machine may then use it at a time.
        clock: monotonic seconds, for expiry.
    """

    scheme: ClassVar[str] = "sqlite"
    abilities: ClassVar[StoreAbilities] = StoreAbilities(leases=True)

    def __init__(
        self,
        path: Path,
        notice: Callable[[str], None] = lambda _text: None,
        *,
        own_folder: bool = False,
        allow_network_fs: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        leases = path.with_name(f"{path.stem}-leases{path.suffix}")
        self._files = tuple(
            Database(file, holds, notice, own_folder=own_folder, allow_network_fs=allow_network_fs)
            for file, holds in ((path, RECORDS), (leases, LEASES))
        )
        self._records = RecordTable(self._files[0])
        self._clock = clock

    @classmethod
    def from_url(cls, url: str, home: Path, notice: Callable[[str], None]) -> SqliteCache:
        """``sqlite:`` (in *home*) or ``sqlite:/path``, either followed by ``?allow_network_fs=true`` if need be.

        Raises:
            UsageError: another option, or a path that is not absolute.
        """
        path, _, option = url.removeprefix("sqlite:").partition("?")
        if option not in ("", _OPTION):
            raise UsageError(f"{url}: unknown option {option!r}; known is {_OPTION}")
        if path and not path.startswith("/"):
            raise UsageError(f"{url}: expected an absolute path, got {path!r}")
        place = Path("/" + path.lstrip("/")) if path else home / FILE_NAME
        return cls(place, notice, own_folder=not path, allow_network_fs=bool(option))

    def __repr__(self) -> str:
        return f"SqliteCache({str(self._files[0].path)!r})"

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
        """See `coopery.cache.Cache.close`. A store that is used again opens again."""
        for file in self._files:
            file.close()

    # --- leases -------------------------------------------------------------------------------------

    @cached_property
    def _claims(self) -> ClaimTable:
        from coopery.stores.claims import ClaimTable  # a hit claims nothing

        return ClaimTable(self._files[1], self._clock)

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
