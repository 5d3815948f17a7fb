"""What the tests of wheels share: what core lends, a target, and a way from wheels to what an image has of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from attrs import frozen

from coopery.backend import Workshop
from coopery.blobs import BlobStore
from coopery.digest import of_bytes
from coopery.layer import Entry, Tree
from coopery.lock import Artifact
from coopery.settings import Settings
from coopery.target import Facts, Provided, Resolved
from coopery_pip import tree

CONDA = Provided(
    python="3.11.4", interpreter="/opt/env/bin/python3.11", site_packages="/opt/env/lib/python3.11/site-packages"
)
BASE = Facts(python="/usr/bin/python3", python_version="3.11", python_release="3.11.2")


@frozen
class Desk:
    """A workshop, and trees of wheels in it."""

    workshop: Workshop

    def trees(
        self, *wheels: tuple[Artifact, Path], provided: Provided = CONDA, target: Resolved | None = None
    ) -> Sequence[Tree]:
        return tree.trees(self.workshop, wheels, target or plain(), provided)

    def laid(self, wheel: tuple[Artifact, Path], **more: object) -> dict[str, Entry]:
        """Path below the prefix → entry, of one wheel."""
        [one] = self.trees(wheel, **more)  # type: ignore[arg-type]  # the keywords of trees
        entries = list(one.entries())
        assert len({entry.path for entry in entries}) == len(entries)
        assert {entry.path for entry in entries} <= set(one.paths())
        return {entry.path.removeprefix("opt/env/"): entry for entry in entries}


def plain(prefix: str = "/opt/env", *, bytecode: bool = False, facts: Facts = BASE) -> Resolved:
    return Resolved("linux/amd64", prefix, of_bytes(b"base"), facts, glibc="2.36", bytecode=bytecode)


def data(entry: Entry) -> bytes:
    found = entry.source if isinstance(entry.source, bytes) else entry.source.read_bytes()
    assert len(found) == entry.size, entry.path
    return found


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    home = tmp_path / "home"
    blobs = BlobStore(home / "blobs", home / "staging")
    workshop = Workshop(home, home / "staging", blobs, Settings(home=home), _none, [].append)
    yield Desk(workshop)
    workshop.compilers.close()


def _none(name: str) -> object:
    raise AssertionError(name)
