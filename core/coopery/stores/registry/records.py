"""Records in a repository: many may write at once, and all who read afterwards see one and the same.

A registry has no compare-and-set: the last to put a tag wins, whatever was there. So nothing rests on one tag:

1. A writer looks at the name's *pointer*, the tag that readers ask for. Where that says that it is late, it has lost.
2. It puts its record under a tag of its own, which no other record can have: a *claim*. Claims are never changed.
3. It lists the claims of the name. What holds is a pure function of that set: of the highest generation the claim that
   was written first (`coopery.stores.registry.tags.claim`), if what it names is whole.
4. It has the pointer name that, and lists again: whoever moved the pointer last has looked at all claims that were made
   before, and whoever made one afterwards will look, and move it. So the pointer ends where the set says, whoever was
   paused or killed meanwhile; a claim whose writer died counts like any other.

Older generations stay as claims. What is deleted is gone with its claims, the newest last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from coopery import digest as _digest
from coopery import faults
from coopery.cache import Kind, Record
from coopery.digest import Digest
from coopery.errors import CacheError, IntegrityError
from coopery.stores.registry import tags as _tags
from coopery.stores.registry.artifact import RECORD, Artifact, checked, layer, of_record, to_record
from coopery.stores.registry.repository import Repository

_ROUNDS: Final = 50
"""Others may move on while we look; each round means that somebody did."""

_AT_ONCE: Final = 8


class Records:
    """Meanings are those of `coopery.cache.Cache`, without compare-and-set.

    Args:
        repository: where.
        notice: told in a sentence of what is damaged.
    """

    def __init__(self, repository: Repository, notice: Callable[[str], None]) -> None:
        self._repository = repository
        self._notice = notice

    def get(self, kind: Kind, name: str, generation: int | None = None) -> Record | None:
        """The newest record, by one request; an older *generation* by some more."""
        found = self._at(kind, name, _tags.pointer(kind, name))
        if found is None or generation in (None, found[0].generation):
            return found[0] if found else None
        if not 0 < generation < found[0].generation:
            return None
        older = self._holds(kind, name, self._claims(kind, name, f"{generation:010d}"))
        return older[0] if older is not None else None

    def put(self, record: Record, expected: int) -> Record:
        """Claim, then see what holds."""
        if record.generation != expected + 1 or expected >= _tags.HIGHEST:
            raise CacheError(f"{_title(record)}: generation {record.generation} cannot follow {expected}")
        artifact = of_record(record)
        newest = self.get(record.kind, record.name)
        if newest is not None and newest.generation != expected:
            return newest
        if newest is None and expected:
            raise CacheError(
                f"{_title(record)}: generation {expected} was deleted meanwhile", remedy="build again to record it anew"
            )
        faults.point("record-put")
        self._repository.put(artifact, _tags.claim(record, artifact.digest))
        kept = self._settle(record, artifact)
        faults.point("record-done")
        return kept

    def delete(self, kind: Kind, name: str) -> bool:
        """Forget every generation and every claim; what the pointer names goes last."""
        ask = self._digest
        pointed = ask(_tags.pointer(kind, name))
        claimed = {digest for tag in self._claims(kind, name) if (digest := ask(tag)) not in (None, pointed)}
        gone = [self._repository.forget(digest) for digest in sorted(claimed)]
        return any(gone) | (pointed is not None and self._repository.forget(pointed))

    def list(self, kind: Kind, prefix: str) -> Iterator[Record]:
        """The newest of every name that begins with *prefix*, by name; a request for each, several at once."""
        from concurrent.futures import ThreadPoolExecutor

        tags = self._repository.tags(_tags.beginnings(kind, prefix))
        wanted = sorted(tag for tag in tags if _tags.is_pointer(kind, tag))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = [record for record in pool.map(lambda tag: self._listed(kind, tag), wanted) if record is not None]
        yield from sorted((one for one in found if one.name.startswith(prefix)), key=lambda one: one.name)

    # --- what holds ---------------------------------------------------------------------------------

    def _settle(self, record: Record, artifact: Artifact) -> Record:
        """Have the pointer name what holds, and see that it still does afterwards."""
        kind, name = record.kind, record.name
        ours = _tags.claim(record, artifact.digest)
        pointer = _tags.pointer(kind, name)
        named = b""
        for _ in range(_ROUNDS):
            holds = self._holds(kind, name, self._claims(kind, name), {ours: (record, artifact.manifest)})
            if holds is None:
                raise CacheError(f"{_title(record)}: was deleted meanwhile", remedy="build again to record it anew")
            if holds[1] == named:
                return holds[0]
            faults.point("record-point")
            self._repository.point(pointer, holds[1])
            named = holds[1]
        raise CacheError(f"{_title(record)}: others write it all the time", remedy="build again")

    def _claims(self, kind: Kind, name: str, generation: str = "") -> Iterable[str]:
        """Tags of claims, those of the highest generation first, then those that were written first."""
        found = self._repository.tags((_tags.claims(kind, name) + generation,))
        known = ((at, tag) for tag in found if (at := _tags.claimed(tag)) is not None)
        return [tag for _, tag in sorted(known, key=lambda one: (-one[0][0], one[1]))]

    def _holds(
        self, kind: Kind, name: str, claims: Iterable[str], known: dict[str, tuple[Record, bytes]] | None = None
    ) -> tuple[Record, bytes] | None:
        """The first of *claims* that is whole and what its tag says, with its manifest."""
        for tag in claims:
            found = (known or {}).get(tag) or self._at(kind, name, tag)
            if found is None:
                continue
            if _tags.claim(found[0], _digest.of_bytes(found[1])) == tag:
                return found
            self._notice(f"{kind} {name[:80]!r}: a record stands under a tag that is not its own and is passed over")
        return None

    def _digest(self, tag: str) -> Digest | None:
        """What *tag* names; None too for what is no manifest, which cannot be deleted by its digest."""
        try:
            return self._repository.digest(tag)
        except IntegrityError:
            return None

    # --- one manifest -------------------------------------------------------------------------------

    def _at(self, kind: Kind, name: str, tag: str) -> tuple[Record, bytes] | None:
        """The record of that name under *tag*, and its manifest; None where it is absent or damaged."""
        try:
            found = self._read(kind, tag)
            if found is not None and found[0].name != name:
                raise IntegrityError(f"{tag}: a record of another name")
        except IntegrityError as exc:
            self._notice(f"{kind} {name[:80]!r}: its record is damaged and is taken for absent: {exc.message}")
            return None
        return found

    def _read(self, kind: Kind, tag: str) -> tuple[Record, bytes] | None:
        there = self._repository.manifest(tag)
        if there is None:
            return None
        where = f"{self._repository.name}:{tag}"
        wanted, data = layer(there[1], RECORD, where)
        if data is None:
            data = checked(self._repository.blob(wanted), wanted, where)
        return to_record(data, kind, where), there[1]

    def _listed(self, kind: Kind, tag: str) -> Record | None:
        try:
            found = self._read(kind, tag)
        except IntegrityError as exc:
            self._notice(f"tag {tag} is left out of the list: {exc.message}")
            return None
        return found[0] if found is not None and _tags.pointer(kind, found[0].name) == tag else None


def _title(record: Record) -> str:
    return f"{record.kind} {record.name[:80]!r}"
