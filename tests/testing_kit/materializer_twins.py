"""Broken twins of the example materializer, each with the tests of the kit that it fails: those and no others.

pytest is run on this file by `test_materializer_twins.py`; by itself it is collected by nobody.
"""

# ruff: noqa: ARG002 - a broken twin is broken by what it ignores

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "materializer"))
from coopery_jars.materializer import JarsMaterializer

from coopery import digest as _digest
from coopery.backend import Workshop
from coopery.layer import Entry, Tree
from coopery.lock import Artifact
from coopery.materializer import Configuration, Resolution, Section
from coopery.target import Distribution, Provided, Resolved
from coopery.testing import MaterializerContract, MaterializerScene
from testing_kit import materializer_scenes

TWINS: dict[str, frozenset[str]] = {}
"""Name of a twin → the tests that must fail on it."""


def twin(*fails: str) -> Any:
    """Makes a test class of the kit for the materializer that it decorates."""

    def make(broken: type[JarsMaterializer]) -> type[JarsMaterializer]:
        class Kit(MaterializerContract):
            @pytest.fixture
            def scene(self, tmp_path: Path) -> MaterializerScene:
                return materializer_scenes.jars(tmp_path / "index", broken)

        TWINS[broken.__name__] = frozenset(fails)
        globals()[f"Test{broken.__name__}"] = type(f"Test{broken.__name__}", (Kit,), {"__module__": __name__})
        return broken

    return make


def mapped(trees: Sequence[Tree], **changes: Any) -> list[Tree]:
    return [evolve(tree, **{name: change(tree) for name, change in changes.items()}) for tree in trees]


class Trees(JarsMaterializer):
    """Jars whose trees a twin changes."""

    def trees(
        self, section: Section, artifacts: Sequence[Artifact], target: Resolved, provided: Provided
    ) -> Sequence[Tree]:
        return self.changed(super().trees(section, artifacts, target, provided), target)

    def changed(self, trees: Sequence[Tree], target: Resolved) -> Sequence[Tree]:
        raise NotImplementedError


@twin()
class Whole(JarsMaterializer):
    """Nothing is wrong with it."""


@twin("test_equal_identities_are_equal_bytes")
class ForgetsThePrefix(Trees):
    """Its identity says nothing of where the jar lies."""

    def changed(self, trees: Sequence[Tree], target: Resolved) -> Sequence[Tree]:
        return mapped(trees, identity=lambda tree: tuple(pair for pair in tree.identity if pair[0] != "path"))


@twin("test_equal_identities_are_equal_bytes")
class WritesItsFolder(Trees):
    """What it cuts depends on where the cache folder is."""

    def changed(self, trees: Sequence[Tree], target: Resolved) -> Sequence[Tree]:
        note = str(self._jars.path(_digest.of_bytes(b""))).encode()

        def entries(tree: Tree) -> Any:
            path = next(iter(tree.paths())) + ".note"
            return lambda: (*tree.entries(), Entry(path, source=note, size=len(note)))

        def paths(tree: Tree) -> Any:
            return lambda: (*tree.paths(), next(iter(tree.paths())) + ".note")

        return mapped(trees, entries=entries, paths=paths)


@twin("test_paths_name_all_that_entries_yield")
class NamesNoPaths(Trees):
    """Clashes could not be found."""

    def changed(self, trees: Sequence[Tree], target: Resolved) -> Sequence[Tree]:
        return mapped(trees, paths=lambda _tree: lambda: ())


@twin("test_trees_may_be_walked_twice_and_at_once")
class GivesOnce(Trees):
    """Its entries are a generator that somebody else has read to the end."""

    def changed(self, trees: Sequence[Tree], target: Resolved) -> Sequence[Tree]:
        def entries(tree: Tree) -> Any:
            given = iter(tree.entries())
            return lambda: given

        return mapped(trees, entries=entries)


@twin("test_trees_lie_below_the_prefix")
class LeavesThePrefix(Trees):
    """A jar goes to /etc."""

    def changed(self, trees: Sequence[Tree], target: Resolved) -> Sequence[Tree]:
        def moved(path: str) -> str:
            return f"etc/{path.rpartition('/')[2]}"

        return mapped(
            trees,
            paths=lambda tree: lambda: map(moved, tree.paths()),
            entries=lambda tree: lambda: (evolve(entry, path=moved(entry.path)) for entry in tree.entries()),
        )


@twin("test_identities_are_pairs_of_strings")
class SharesAnIdentity(Trees):
    """Every jar is the same to core; the last one wins."""

    def changed(self, trees: Sequence[Tree], target: Resolved) -> Sequence[Tree]:
        last = trees[-1]
        return [evolve(tree, identity=last.identity, paths=last.paths, entries=last.entries) for tree in trees]


@twin("test_another_file_than_the_lock_names_is_refused", "test_a_hostile_file_name_leads_nowhere")
class ChecksNothing(JarsMaterializer):
    """Whatever is there is the jar."""

    def _fetched(self, artifact: Artifact) -> Path:
        file_name = f"{artifact.name.partition(':')[2]}-{artifact.version}.jar"
        source = self._path(artifact.source, artifact.name, artifact.version, file_name)
        with self._jars.create() as copy:
            copy.write(source.read_bytes())
        assert copy.digest is not None
        return self._jars.path(copy.digest)


@twin("test_another_section_is_not_met")
class IsAlwaysMet(JarsMaterializer):
    """Every lock answers every section."""

    def unmet(
        self, section: Section, artifacts: Sequence[Artifact], target: Resolved, provided: Provided
    ) -> tuple[str, ...]:
        return ()


@twin("test_a_section_that_is_answered_is_met")
class IsNeverMet(JarsMaterializer):
    """No lock is good enough."""

    def unmet(
        self, section: Section, artifacts: Sequence[Artifact], target: Resolved, provided: Provided
    ) -> tuple[str, ...]:
        return ("let us look again",)


@twin("test_what_nothing_satisfies_is_a_resolve_error")
class RaisesAnything(JarsMaterializer):
    """The caller gets to see its insides."""

    def resolve(self, section: Section, target: Resolved, provided: Provided) -> Resolution:
        found = {text: self._find(text, section.content.repositories) for text in section.content.packages}
        missing = next((text for text, artifact in found.items() if artifact is None), None)
        if missing:
            raise KeyError(missing)
        return super().resolve(section, target, provided)


@twin("test_it_provides_the_same_for_the_same_artifacts")
class ForgetsWhatItProvides(JarsMaterializer):
    """Resolving provides something that the lock does not."""

    def resolve(self, section: Section, target: Resolved, provided: Provided) -> Resolution:
        found = super().resolve(section, target, provided)
        return evolve(found, provided=evolve(provided, distributions=(Distribution("jars", "1"),)))


@twin("test_a_lock_names_nothing_of_this_machine", "test_resolving_gives_the_same_everywhere")
class LocksAFolder(JarsMaterializer):
    """The lock says where the jar is kept here."""

    def __init__(self, workshop: Workshop) -> None:
        super().__init__(workshop)
        self._home = workshop.home

    def resolve(self, section: Section, target: Resolved, provided: Provided) -> Resolution:
        found = super().resolve(section, target, provided)
        artifacts = (evolve(one, version=f"{one.version}+{self._home}") for one in found.artifacts)
        return evolve(found, artifacts=tuple(artifacts))

    def unmet(
        self, section: Section, artifacts: Sequence[Artifact], target: Resolved, provided: Provided
    ) -> tuple[str, ...]:
        plain = [evolve(one, version=one.version.partition("+")[0]) for one in artifacts]
        return super().unmet(section, plain, target, provided)

    def _tree(self, artifact: Artifact, prefix: str) -> Tree:
        return super()._tree(evolve(artifact, version=artifact.version.partition("+")[0]), prefix)


@twin("test_making_one_touches_nothing")
class IsEager(JarsMaterializer):
    """Making it already writes."""

    def __init__(self, workshop: Workshop) -> None:
        super().__init__(workshop)
        (workshop.home / "eager").write_text("here")


@twin("test_its_configuration_is_one_that_processes_can_have")
class SetsNonsense(JarsMaterializer):
    """No process has such a variable."""

    def environment(self, artifacts: Sequence[Artifact], target: Resolved, provided: Provided) -> Configuration:
        return Configuration(env=(("A=B", "c"),))


@twin("test_its_configuration_is_one_that_processes_can_have")
class LeaksAThread(JarsMaterializer):
    """A thread of it still runs when it was closed."""

    def environment(self, artifacts: Sequence[Artifact], target: Resolved, provided: Provided) -> Configuration:
        threading.Thread(target=threading.Event().wait, args=(60,), daemon=True).start()
        return super().environment(artifacts, target, provided)
