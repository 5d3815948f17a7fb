"""The directory store: records and leases in a folder that many machines share. See ``docs/records.md``.

Nothing is ever changed in place, and no lock is used: all that it needs of a file system is that ``link()`` makes a
name or fails, and that a file which is opened is seen as it was closed. NFS promises both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from coopery.cache import Kind, Record, StoreAbilities
from coopery.errors import UsageError
from coopery.stores.custody import Custody, Group, Private
from coopery.stores.namespace import checked
from coopery.stores.record_log import RecordLogs
from coopery.stores.shelves import Shelves

if TYPE_CHECKING:
    from coopery.leases import Claim, Lease, Outcome
    from coopery.stores.claim_log import ClaimLogs

_MODES: Final[dict[str, type[Custody]]] = {"private": Private, "group": Group}


class DirectoryCache:
    """Records and leases below the folder *top*: a Cache and Leases in one object.

    Nothing is kept open between two calls, so that threads and forks need no care. The first write makes the folder.

    Args:
        top: absolute.
        notice: told in a sentence when something damaged was found.
        custody: whose it is: `Private` to one user, or a `Group`'s.
        namespace: the part of it that is meant; parts know nothing of each other. Empty: the one without a name.
        clock: monotonic seconds, for expiry.
    """

    scheme: ClassVar[str] = "directory"
    abilities: ClassVar[StoreAbilities] = StoreAbilities(leases=True)

    def __init__(
        self,
        top: Path,
        notice: Callable[[str], None] = lambda _text: None,
        *,
        custody: Custody | None = None,
        namespace: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shelves = Shelves(top, custody or Private(), checked(namespace) if namespace else "")
        self._records = RecordLogs(self._shelves, notice)
        self._clock = clock

    @classmethod
    def from_url(cls, url: str, home: Path, notice: Callable[[str], None]) -> DirectoryCache:  # noqa: ARG003 - the protocol's
        """``directory:/path``, with ``?mode=group`` and ``?namespace=NAME`` if need be.

        Raises:
            UsageError: another option, or a path that is not absolute.
        """
        path, _, query = url.removeprefix("directory:").partition("?")
        options = dict(part.partition("=")[::2] for part in query.split("&") if part)
        mode, namespace = options.pop("mode", "private"), options.pop("namespace", "")
        if options or mode not in _MODES:
            wrong = next(iter(options), f"mode={mode}")
            raise UsageError(f"{url}: unknown option {wrong!r}; known are mode=private, mode=group and namespace=NAME")
        if not path.startswith("/"):
            raise UsageError(f"{url}: expected an absolute path, got {path!r}")
        return cls(Path("/" + path.lstrip("/")), notice, custody=_MODES[mode](), namespace=namespace)

    def __repr__(self) -> str:
        return f"DirectoryCache({str(self._shelves.top)!r})"

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
        """See `coopery.cache.Cache.close`. Nothing is held."""

    # --- leases -------------------------------------------------------------------------------------

    @cached_property
    def _claims(self) -> ClaimLogs:
        from coopery.stores.claim_log import ClaimLogs  # a hit claims nothing

        return ClaimLogs(self._shelves, self._clock)

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
