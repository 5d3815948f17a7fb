"""A store that is only looked in: what CI writes and everybody else reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar, cast

from attrs import evolve

from coopery.cache import Attaching, Cache, Kind, Record, StoreAbilities
from coopery.errors import CacheError, UsageError


class ReadOnly:
    """*inner*, without writing. It has no leases: who cannot record what it builds holds nobody else up."""

    scheme: ClassVar[str] = "readonly"

    def __init__(self, inner: Cache) -> None:
        self._inner = inner

    @classmethod
    def from_url(cls, url: str, home: Path, notice: Callable[[str], None]) -> ReadOnly:  # noqa: ARG003 - the protocol's
        """None: it is asked for as an option of another store."""
        raise UsageError(f"{url}: write ?readonly=true behind the store that is meant")

    def __repr__(self) -> str:
        return f"ReadOnly({self._inner!r})"

    @property
    def abilities(self) -> StoreAbilities:
        """Those of the store that are about reading."""
        return evolve(self._inner.abilities, leases=False, writable=False)

    def get(self, kind: Kind, name: str, generation: int | None = None) -> Record | None:
        """See `coopery.cache.Cache.get`."""
        return self._inner.get(kind, name, generation)

    def put(self, record: Record, expected: int) -> Record:  # noqa: ARG002 - the protocol's
        """Refused.

        Raises:
            CacheError: always.
        """
        raise self._refusal(record.kind, record.name)

    def delete(self, kind: Kind, name: str) -> bool:
        """Refused.

        Raises:
            CacheError: always.
        """
        raise self._refusal(kind, name)

    def list(self, kind: Kind, prefix: str = "") -> Iterator[Record]:
        """See `coopery.cache.Cache.list`."""
        return self._inner.list(kind, prefix)

    def attach(self, kind: Kind, name: str, files: Mapping[str, bytes]) -> None:  # noqa: ARG002 - the protocol's
        """Refused.

        Raises:
            CacheError: always.
        """
        raise self._refusal(kind, name)

    def attached(self, kind: Kind, name: str, what: str) -> bytes | None:
        """See `coopery.cache.Attaching.attached`."""
        return cast("Attaching", self._inner).attached(kind, name, what)

    def close(self) -> None:
        """See `coopery.cache.Cache.close`."""
        self._inner.close()

    def _refusal(self, kind: Kind, name: str) -> CacheError:
        return CacheError(
            f"{kind} {name[:80]!r} cannot be written: {self._inner!r} is used read-only",
            remedy="put a store of your own before it: --cache 'sqlite: STORE?readonly=true'",
        )
