"""Requirements into artifacts: exact, the same everywhere, and told apart from what is asked for otherwise."""

# ruff: noqa: S101 - asserts are what a kit is made of

from __future__ import annotations

import re
from pathlib import Path

import pytest

from coopery.errors import ResolveError
from coopery.home import Home
from coopery.preflight import SECTIONS
from coopery.testing.materializer.scene import Bench, MaterializerScene, Stage, files_in, lock_of, opened

_HEX = re.compile(r"[0-9a-f]{64}")


class ResolveChecks(Stage):
    """What `resolve`, `unmet` and `provides` must do."""

    def test_it_names_its_section_and_what_comes_before(self, bench: Bench) -> None:
        """``name`` is a section of a definition, ``after`` names others."""
        made = bench.materializer
        assert made.name in SECTIONS
        assert isinstance(made.after, tuple)
        assert made.name not in made.after

    def test_making_one_touches_nothing(self, scene: MaterializerScene, tmp_path: Path) -> None:
        """Core makes one to ask it small things, and closes it: neither may cost anything."""
        folder = tmp_path / "untouched"
        Home(folder).make()
        before = files_in(folder)
        with opened(scene, folder):
            pass
        assert files_in(folder) == before, "it wrote something"

    def test_it_resolves_to_exact_files(self, bench: Bench) -> None:
        """Each artifact is one file: of this kind, with name, version, hash and size; none comes twice."""
        found = bench.resolve()
        assert found, "the scene's content resolved to nothing"
        for artifact in found:
            assert artifact.kind == bench.materializer.name
            assert artifact.name
            assert artifact.version
            assert artifact.file_name
            assert _HEX.fullmatch(artifact.sha256), artifact
            assert artifact.size > 0
        assert len(set(found)) == len(found)

    def test_a_lock_names_nothing_of_this_machine(self, bench: Bench) -> None:
        """``source`` is what the definition says; settings turn it into a place, and that is not for a lock."""
        assert str(bench.workshop.home).encode() not in lock_of(bench.scene, bench.resolve())

    def test_resolving_gives_the_same_everywhere(self, bench: Bench, elsewhere: Bench) -> None:
        """In another cache folder, and a second time in this one."""
        first = bench.resolve()
        assert bench.resolve() == first
        assert elsewhere.resolve() == first

    def test_what_is_preferred_and_fits_stays(self, bench: Bench) -> None:
        """With its own answer to prefer, the answer is that."""
        first = bench.resolve()
        assert bench.resolve(prefer=first) == first

    def test_what_nothing_satisfies_is_a_resolve_error(self, bench: Bench) -> None:
        """No other exception, and a message for people."""
        with pytest.raises(ResolveError) as caught:
            bench.resolve(bench.scene.impossible)
        assert caught.value.message.strip()

    def test_it_provides_the_same_for_the_same_artifacts(self, bench: Bench, elsewhere: Bench) -> None:
        """What `resolve` said is what `provides` says of a lock, on a machine that has nothing; it fetches nothing."""
        scene = bench.scene
        found = bench.materializer.resolve(bench.section(), scene.target, scene.provided)
        artifacts = tuple(sorted(found.artifacts))
        before = files_in(elsewhere.workshop.home)
        assert elsewhere.materializer.provides(artifacts, scene.target, scene.provided) == found.provided
        assert files_in(elsewhere.workshop.home) == before, "it wrote something"

    def test_a_section_that_is_answered_is_met(self, bench: Bench, elsewhere: Bench) -> None:
        """Its own lock answers it, as far as a machine can tell that has nothing; nothing is fetched for that."""
        artifacts = bench.resolve()
        scene, before = bench.scene, files_in(elsewhere.workshop.home)
        assert elsewhere.materializer.unmet(bench.section(), artifacts, scene.target, scene.provided) == ()
        assert files_in(elsewhere.workshop.home) == before, "it wrote something"

    def test_another_section_is_not_met(self, bench: Bench) -> None:
        """Nor is this one by nothing at all. Each reason is a line for people."""
        scene, made = bench.scene, bench.materializer
        artifacts = bench.resolve()
        for content, locked in ((scene.other, artifacts), (scene.content, ())):
            reasons = made.unmet(bench.section(content), locked, scene.target, scene.provided)
            assert reasons, "the lock was taken for an answer to another section"
            assert all(isinstance(line, str) and line.strip() for line in reasons)
        assert bench.resolve(scene.other) != artifacts, "the scene's other content resolves to the same"
