"""A materializer with everything that core would lend it, and a look at what its trees amount to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

from coopery.backend import Workshop
from coopery.blobs import BlobStore
from coopery.definition import Conda
from coopery.events import Event
from coopery.layer import Entry, Tree
from coopery.lock import Artifact
from coopery.materializer import Section
from coopery.settings import Settings
from coopery.target import Provided, Resolved
from coopery_conda.materializer import CondaMaterializer

PREFIX = "/opt/env"


@frozen
class Desk:
    """A materializer with everything that core would lend it, and what it reported."""

    materializer: CondaMaterializer
    workshop: Workshop
    events: list[Event]
    root: Path

    def section(
        self, *specs: str, channels: Sequence[str] = ("./channel",), prefer: Sequence[Artifact] = ()
    ) -> Section:
        return Section(Conda(tuple(channels), tuple(specs)), self.root, tuple(prefer))

    def lock(self, *specs: str, target: Resolved, **more: Any) -> tuple[Artifact, ...]:
        return self.materializer.resolve(self.section(*specs, **more), target, Provided()).artifacts

    def trees(self, *specs: str, target: Resolved, **more: Any) -> Sequence[Tree]:
        artifacts = self.lock(*specs, target=target, **more)
        return self.materializer.trees(self.section(*specs, **more), artifacts, target, Provided())


@contextmanager
def make_desk(root: Path, home: Path | None = None, settings: Settings | None = None) -> Iterator[Desk]:
    home = home or root / "home"
    events: list[Event] = []
    workshop = Workshop(
        home=home,
        staging=home / "staging",
        blobs=BlobStore(home / "blobs", home / "staging"),
        settings=settings or Settings(home=home),
        base_sources=_none,
        emit=events.append,
    )
    materializer = CondaMaterializer(workshop)
    try:
        yield Desk(materializer, workshop, events, root)
    finally:
        materializer.close()
        workshop.compilers.close()


def _none(name: str) -> Any:
    raise AssertionError(name)


@frozen
class Seen:
    """What is at one path: enough to compare two file systems."""

    kind: str
    mode: int = 0
    data: bytes = b""
    link: str = ""


def seen(entry: Entry) -> Seen:
    if entry.kind == "symlink":
        return Seen("symlink", link=entry.target)
    if entry.kind == "directory":
        return Seen("directory")
    data = entry.source if isinstance(entry.source, bytes) else entry.source.read_bytes()
    assert len(data) == entry.size, entry.path
    return Seen("file", entry.mode, data)


def union(trees: Sequence[Tree]) -> dict[str, Seen]:
    """What the image will have: of a path that several trees have, or that lies below one, the higher rank's."""
    found: dict[str, Seen] = {}
    for tree in sorted(trees, key=lambda tree: (tree.rank, tree.package)):
        mine = {entry.path: seen(entry) for entry in tree.entries()}
        for path in [old for old in found if _in_the_way(old, mine)]:
            del found[path]
        for path in mine:
            for parent in _parents(path):
                if parent in found and found[parent].kind != "directory":
                    del found[parent]
        found |= mine
    return found


def _in_the_way(old: str, mine: Mapping[str, Seen]) -> bool:
    return any(parent in mine and mine[parent].kind != "directory" for parent in _parents(old))


def _parents(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path
