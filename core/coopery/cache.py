"""The cache protocol: what is remembered, and where. Safety rests on compare-and-set alone.

Two kinds of record. A *resolution* (key → lock, base, image id) is written once per generation and never changed. A
*placement* ((image id, place) → digest, size) is a fact about one place and may be written again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from attrs import field, frozen

Kind = Literal["resolution", "placement"]


@frozen
class Record:
    """One record as stores see it: opaque JSON with a name and a generation.

    Attributes:
        kind: ``resolution`` or ``placement``.
        name: the key, or ``image id@place``.
        generation: 1 for the first; each replacement adds 1.
        body: JSON values; stores neither read nor change it.
        writer: who wrote it: ``user@host``.
        written: seconds since the epoch.
    """

    kind: Kind
    name: str
    generation: int
    body: Mapping[str, Any] = field(hash=False)
    writer: str = ""
    written: float = 0.0


@frozen
class StoreAbilities:
    """What a store promises. Core downgrades its own promise, in words, where one is missing.

    Attributes:
        compare_and_set: ``put`` with an expected generation is atomic across all users of the store.
        list: ``list`` works.
        leases: the store also implements `coopery.leases.Leases`.
        history: older generations stay readable.
        writable: ``put`` and ``delete`` work, for those whom the store lets.
        promise: what a store without compare-and-set promises instead, in a sentence for people.
        attachments: the store also implements `Attaching`.
    """

    compare_and_set: bool = True
    list: bool = True
    leases: bool = False
    history: bool = True
    writable: bool = True
    promise: str = ""
    attachments: bool = False


class Cache(Protocol):
    """A keeper of records. Must be usable from several threads; errors are `CacheError` and nothing else."""

    scheme: ClassVar[str]
    """What ``Builder(cache="scheme:…")`` begins with."""

    @property
    def abilities(self) -> StoreAbilities:
        """What it promises: a class attribute, unless it depends on what the store is made of."""
        ...

    @classmethod
    def from_url(cls, url: str, home: Path, notice: Callable[[str], None]) -> Cache:
        """How core makes one. Must be cheap: nothing is opened, created or asked before the first use.

        Args:
            url: all of it, ``scheme:`` included.
            home: cache folder of this machine.
            notice: to be told, in a sentence, what a person should know: a damaged record, a store set aside.

        Raises:
            UsageError: the rest of the URL is not what this store expects.
        """
        ...

    def get(self, kind: Kind, name: str, generation: int | None = None) -> Record | None:
        """The newest record of that name, or that *generation* of it. A damaged record is a miss: None."""
        ...

    def put(self, record: Record, expected: int) -> Record:
        """Store *record* if the newest generation is *expected* (0: none yet).

        Returns:
            The record to use from now on: *record*, or the winner's when somebody was faster.

        Raises:
            CacheError: the store failed, or *expected* was deleted meanwhile, or the record's generation is not
                *expected* + 1; StoreFull when there is no space. Then nothing was stored.
        """
        ...

    def delete(self, kind: Kind, name: str) -> bool:
        """Forget every generation; False when there was none."""
        ...

    def list(self, kind: Kind, prefix: str = "") -> Iterator[Record]:
        """The newest record of every name that begins with *prefix*, by name. Damaged ones are left out."""
        ...

    def close(self) -> None:
        """Release what is held. May be called twice."""
        ...


class Attaching(Protocol):
    """What a store may do besides: keep files with a record, for people and other tools. Nothing rests on them."""

    def attach(self, kind: Kind, name: str, files: Mapping[str, bytes]) -> None:
        """Keep *files* (``lock``, ``log``) with the newest record of *name*.

        Raises:
            CacheError: there is no such record, or the store failed.
        """
        ...

    def attached(self, kind: Kind, name: str, what: str) -> bytes | None:
        """One of these files; None where it is absent or damaged."""
        ...
