"""The lock: what one definition resolved to, exactly, for one platform. Names no host, no URL, no machine.

Its digest is over a canonical encoding of the sorted artifacts, the base digest and the facts used, so two solvers
that chose the same packages on the same base give one lock.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from operator import attrgetter
from typing import Any, Final

from attrs import field, fields, frozen

from coopery import digest as _digest
from coopery.digest import Digest

TAG: Final = "coopery.lock.v1"


def _in_order(artifacts: Iterable[Artifact]) -> tuple[Artifact, ...]:
    return tuple(sorted(artifacts, key=_plain))


@frozen
class Built:
    """How a file that no index has is made: what `Artifact.built` of a wheel from source says.

    Attributes:
        source: ``git+https://host/name@COMMIT``, the URL of an archive, or the name of an archive in the artifact's
            source. May end with ``#subdirectory=…``.
        sha256: of the archive; empty for a repository, which the commit names.
        tools: the exact packages that it is built with, sorted.
    """

    source: str
    sha256: str = ""
    tools: tuple[Artifact, ...] = field(default=(), converter=_in_order)

    def to_json(self) -> dict[str, Any]:
        """Plain data, for records."""
        return {"source": self.source, "sha256": self.sha256, "tools": [tool.to_json() for tool in self.tools]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Built:
        """The inverse of `to_json`.

        Raises:
            TypeError, KeyError: fields that are not those.
        """
        return cls(data["source"], data["sha256"], [Artifact.from_json(tool) for tool in data["tools"]])


@frozen(order=True)
class Artifact:
    """One package file.

    Attributes:
        kind: the materializer that knows it: ``conda``, ``pip``.
        name: normalized package name.
        version: as the index writes it.
        build: conda build string; empty elsewhere.
        subdir: conda subdir, ``linux-64`` or ``noarch``; empty elsewhere.
        file_name: ``numpy-1.26.4-py311h64a7726_0.conda``.
        source: the channel or index as the definition names it; settings turn it into a URL.
        sha256: 64 hexadecimal digits.
        size: bytes of the file.
        built: how the file is made where no index has it; *source* is then what the definition names: the
            repository, the archive, or the index that has the source. None for a file that is fetched.
    """

    kind: str
    name: str
    version: str
    build: str
    subdir: str
    file_name: str
    source: str
    sha256: str
    size: int
    built: Built | None = field(default=None, order=False)

    def __str__(self) -> str:
        return f"{self.name} {self.version}{f' {self.build}' if self.build else ''}"

    def to_json(self) -> dict[str, Any]:
        """Plain data, for records. What is not built says nothing of that, as before there was such a thing."""
        found = dict(zip(_PLAIN, _plain(self), strict=True))
        return found if self.built is None else {**found, "built": self.built.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Artifact:
        """The inverse of `to_json`.

        Raises:
            TypeError, KeyError: fields that are not those.
        """
        built = data.get("built")
        return cls(**{**data, "built": Built.from_json(built) if built is not None else None})


_PLAIN: Final = tuple(one.name for one in fields(Artifact) if one.name != "built")
"""Fields by which artifacts are in order."""

_plain: Final = attrgetter(*_PLAIN)  # every hit reads a lock and digests it: attrs' own ways take six times as long


def _pairs(value: Any) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(value.items())) if isinstance(value, dict) else tuple(sorted(value))


@frozen
class Lock:
    """All artifacts for one platform on one base, sorted, with the facts that the solvers were told."""

    platform: str
    base: Digest
    facts: tuple[tuple[str, str], ...] = field(converter=_pairs)
    artifacts: tuple[Artifact, ...] = field(converter=_in_order)

    @property
    def digest(self) -> Digest:
        """Identity of this lock."""
        return _digest.of_bytes(self.canonical())

    def canonical(self) -> bytes:
        """UTF-8 JSON with sorted keys and no spaces; strings and integers only, so that it has one form."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def of_kind(self, kind: str) -> tuple[Artifact, ...]:
        """The artifacts that one materializer answers for."""
        return tuple(artifact for artifact in self.artifacts if artifact.kind == kind)

    def to_json(self) -> dict[str, Any]:
        """Plain data: what is stored in records and in lock files."""
        return {
            "tag": TAG,
            "platform": self.platform,
            "base": self.base,
            "facts": dict(self.facts),
            "artifacts": [artifact.to_json() for artifact in self.artifacts],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Lock:
        """The inverse of `to_json`.

        Raises:
            ValueError: another tag, or fields that are not those of a lock.
        """
        if data.get("tag") != TAG:
            raise ValueError(f"expected a lock with tag {TAG!r}, got {data.get('tag')!r}")
        try:
            artifacts = [Artifact.from_json(entry) for entry in data["artifacts"]]
            return cls(data["platform"], _digest.parse(data["base"]), data["facts"], artifacts)
        except (KeyError, TypeError) as exc:
            raise ValueError(f"not a lock: {exc}") from exc


@frozen
class Move:
    """One package that differs between two locks. ``before`` or ``after`` is None when it came or went."""

    kind: str
    name: str
    before: Artifact | None
    after: Artifact | None

    def __str__(self) -> str:
        if self.before is None:
            return f"+ {self.after}"
        if self.after is None:
            return f"- {self.before}"
        if self.after.built is not None and str(self.before) == str(self.after):
            return f"  {self.before} -> built from {self.after.built.source}"
        return f"  {self.before} -> {self.after.version}{f' {self.after.build}' if self.after.build else ''}"


def moves(before: Lock, after: Lock) -> tuple[Move, ...]:
    """What changed from *before* to *after*, by kind and name. Artifacts equal in sha256 have not moved."""
    old = {(a.kind, a.name): a for a in before.artifacts}
    new = {(a.kind, a.name): a for a in after.artifacts}
    names = sorted(old.keys() | new.keys())
    return tuple(
        Move(kind, name, old.get((kind, name)), new.get((kind, name)))
        for kind, name in names
        if _sha(old.get((kind, name))) != _sha(new.get((kind, name)))
    )


def _sha(artifact: Artifact | None) -> str:
    return artifact.sha256 if artifact else ""
