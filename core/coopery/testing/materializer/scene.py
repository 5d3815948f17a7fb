"""What every test of the kit works with: sections to resolve, and fresh cache folders to do it in."""

# ruff: noqa: S101 - asserts are what a kit is made of

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, field, frozen

from coopery import digest as _digest
from coopery.backend import Workshop
from coopery.bytecode import Compilers
from coopery.digest import Digest
from coopery.events import ignore
from coopery.home import Home
from coopery.layer import Tree
from coopery.layers.cut import cut_into
from coopery.lock import Artifact, Lock
from coopery.materializer import Materializer, Section
from coopery.settings import Settings
from coopery.target import Facts, Provided, Resolved
from coopery.testing.backend.desk import no_source

OpenMaterializer = Callable[[Workshop], Materializer]
BASE = _digest.of_bytes(b"a base")


def target(prefix: str = "/opt/env", platform: str = "linux/amd64") -> Resolved:
    """A target like most: Debian 12's glibc, no GPU; *prefix* and *platform* are its."""
    facts = Facts(platform=platform, glibc="2.36", prefix=prefix)
    return Resolved(platform, prefix, BASE, facts, glibc="2.36", archspec="x86_64")


@frozen
class MaterializerScene:
    """What an author gives: one materializer, and sections for it.

    Attributes:
        open_materializer: makes one for a workshop, as core does: usually the class itself.
        content: a section that resolves, to one artifact or more.
        other: a section that resolves to something else.
        impossible: a section that nothing satisfies.
        root: the definition's folder.
        settings: fields of `coopery.settings.Settings`: mirrors, where channels and indexes are.
        provided: what materializers before it would hand on.
        target: the machine that will run the image; see `target`.
    """

    open_materializer: OpenMaterializer
    content: Any
    other: Any
    impossible: Any
    root: Path = field(factory=Path)
    settings: dict[str, Any] = field(factory=dict)
    provided: Provided = field(factory=Provided)
    target: Resolved = field(factory=target)


@frozen
class Bench:
    """One materializer in a cache folder of its own."""

    scene: MaterializerScene
    workshop: Workshop
    materializer: Materializer

    def section(self, content: Any = None, prefer: Sequence[Artifact] = ()) -> Section:
        """*content*, the scene's unless given, as core hands it over."""
        return Section(self.scene.content if content is None else content, self.scene.root, tuple(prefer))

    def resolve(self, content: Any = None, prefer: Sequence[Artifact] = ()) -> tuple[Artifact, ...]:
        """What it resolves to, in the order of a lock."""
        found = self.materializer.resolve(self.section(content, prefer), self.scene.target, self.scene.provided)
        return tuple(sorted(found.artifacts))

    def trees(self, artifacts: Sequence[Artifact], prefix: str = "") -> tuple[Tree, ...]:
        """Trees of *artifacts*, for the scene's prefix unless another is given."""
        where = evolve(self.scene.target, prefix=prefix) if prefix else self.scene.target
        return tuple(self.materializer.trees(self.section(), tuple(artifacts), where, self.scene.provided))

    def layer(self, tree: Tree) -> Digest:
        """The digest of the layer that core cuts from *tree* alone."""
        return cut_into(self.workshop.blobs, [tree])[0].diff_id


class Stage:
    """Base of the kit's parts. ``scene`` is the fixture that an author writes."""

    @pytest.fixture
    def scene(self) -> MaterializerScene:
        """The materializer and its sections. An author writes it."""
        raise NotImplementedError("write a fixture `scene` that returns a coopery.testing.MaterializerScene")

    @pytest.fixture
    def bench(self, scene: MaterializerScene, tmp_path: Path) -> Iterator[Bench]:
        """A materializer in a fresh cache folder; afterwards nothing of it may be left in staging, or running."""
        threads, children = set(threading.enumerate()), _children()
        with opened(scene, tmp_path / "first") as made:
            yield made
        staging = made.workshop.staging
        assert not list(staging.iterdir()), "it left something in staging"
        assert set(threading.enumerate()) <= threads, "a thread of it still runs after close()"
        assert _children() <= children, "a process of it still runs after close()"

    @pytest.fixture
    def elsewhere(self, scene: MaterializerScene, tmp_path: Path) -> Iterator[Bench]:
        """The same on another machine: another cache folder, another umask."""
        before = os.umask(0o077)
        try:
            with opened(scene, tmp_path / "second" / "deeper") as made:
                yield made
        finally:
            os.umask(before)


@contextmanager
def opened(scene: MaterializerScene, folder: Path) -> Iterator[Bench]:
    """A materializer in the cache folder *folder*; closed afterwards, with what was lent to it."""
    home = Home(folder)
    home.make()
    lent = Settings(home=folder, **scene.settings)
    compilers = Compilers(folder / "interpreters", home.staging)
    workshop = Workshop(folder, home.staging, home.blobs, lent, no_source, ignore, compilers=compilers)
    try:
        with closing(scene.open_materializer(workshop)) as materializer:
            yield Bench(scene, workshop, materializer)
    finally:
        compilers.close()


def lock_of(scene: MaterializerScene, artifacts: Sequence[Artifact]) -> bytes:
    """The lock with *artifacts*, as it is kept."""
    return Lock(scene.target.platform, BASE, {}, artifacts).canonical()


def files_in(folder: Path) -> frozenset[tuple[str, int]]:
    """Every file below *folder*, with its size."""
    return frozenset((str(path), path.stat().st_size) for path in folder.rglob("*") if path.is_file())


def _children() -> frozenset[int]:
    """Processes that this one has started and that have not ended. Source: proc(5)."""
    found = set()
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdigit():
            try:
                words = Path("/proc", name, "stat").read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            if int(words[1]) == os.getpid() and words[0] != "Z":
                found.add(int(name))
    return frozenset(found)
