"""Artifacts into trees: whole, the same bytes everywhere, identities that tell apart what differs."""

# ruff: noqa: S101 - asserts are what a kit is made of

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from attrs import evolve

from coopery.errors import CooperyError, PackageError
from coopery.layer import Entry, Tree
from coopery.layers.members import members
from coopery.lock import Artifact
from coopery.testing.materializer.scene import Bench, Stage, files_in

_OTHER_PREFIX = "/srv/elsewhere"


class TreeChecks(Stage):
    """What `trees` and `environment` must do."""

    def test_trees_lie_below_the_prefix(self, bench: Bench) -> None:
        """Every path; and core takes each tree: no path leaves the root, comes twice, or cannot exist."""
        prefix = bench.scene.target.prefix.strip("/")
        trees = bench.trees(bench.resolve())
        assert trees, "packages and not one tree"
        for tree in trees:
            members(tree)
            for entry in tree.entries():
                assert entry.path == prefix or entry.path.startswith(f"{prefix}/"), f"{tree.name}: {entry.path}"

    def test_paths_name_all_that_entries_yield(self, bench: Bench) -> None:
        """Clashes are found from `Tree.paths` alone: a path that is not named there is lost to nobody."""
        for tree in bench.trees(bench.resolve()):
            named = {path.rstrip("/") for path in tree.paths()}
            unnamed = {entry.path for entry in tree.entries() if entry.kind != "directory"} - named
            assert not unnamed, f"{tree.name}: {sorted(unnamed)[:5]}"

    def test_trees_may_be_walked_twice_and_at_once(self, bench: Bench) -> None:
        """Core asks again after a clash, and from several threads."""
        trees = bench.trees(bench.resolve())
        first = [_content(tree) for tree in trees]
        with ThreadPoolExecutor(4) as pool:
            again = list(pool.map(_content, trees))
        assert again == first

    def test_identities_are_pairs_of_strings(self, bench: Bench) -> None:
        """Sorted, with no folder of this machine in them, and of no two trees the same."""
        trees = bench.trees(bench.resolve())
        for tree in trees:
            assert tree.identity, f"{tree.name} has none"
            assert all(isinstance(text, str) for pair in tree.identity for text in pair)
            assert tree.identity == tuple(sorted(tree.identity))
            assert str(bench.workshop.home) not in str(tree.identity)
        assert len({tree.identity for tree in trees}) == len(trees)

    def test_equal_identities_are_equal_bytes(self, bench: Bench, elsewhere: Bench) -> None:
        """On another machine; and for another prefix, where what differs has another identity."""
        artifacts = bench.resolve()
        here = {tree.identity: bench.layer(tree) for tree in bench.trees(artifacts)}
        assert {tree.identity: elsewhere.layer(tree) for tree in elsewhere.trees(artifacts)} == here
        moved = {tree.identity: bench.layer(tree) for tree in bench.trees(artifacts, _OTHER_PREFIX)}
        for identity in here.keys() & moved.keys():
            assert here[identity] == moved[identity], f"{identity}: other bytes for another prefix"

    def test_a_second_time_nothing_is_fetched(self, bench: Bench) -> None:
        """With everything there, `trees` is cheap: no file is written."""
        artifacts = bench.resolve()
        first = [tree.identity for tree in bench.trees(artifacts)]
        before = files_in(bench.workshop.home)
        assert [tree.identity for tree in bench.trees(artifacts)] == first
        assert files_in(bench.workshop.home) == before

    def test_another_file_than_the_lock_names_is_refused(self, bench: Bench) -> None:
        """A hash that is not the file's: a `PackageError`, and nothing of it stays."""
        artifacts = bench.resolve()
        wrong = evolve(artifacts[0], sha256="0" * 64)
        with pytest.raises(PackageError):
            _walk(bench, wrong)
        left = [path for path in bench.workshop.home.rglob("*") if "0" * 64 in path.name]
        assert not left, f"what is not the file in the lock was kept: {left}"

    @pytest.mark.parametrize("name", ["../../../outside", "/outside", "a/../../outside", "outside\n", "-outside", "\0"])
    def test_a_hostile_file_name_leads_nowhere(self, bench: Bench, tmp_path: Path, name: str) -> None:
        """A lock is somebody else's text: its names are refused, or are names; nothing is written by them."""
        artifacts = bench.resolve()
        try:
            _walk(bench, evolve(artifacts[0], file_name=name, sha256="1" * 64))
        except CooperyError:
            pass
        else:
            pytest.fail("a file of that name and hash was found")
        left = [path for path in tmp_path.rglob("*") if "outside" in path.name]
        assert not left, left
        assert not Path("/outside").exists()

    def test_its_configuration_is_one_that_processes_can_have(self, bench: Bench) -> None:
        """Variables with names, absolute folders; the same each time, and nothing of this machine."""
        scene, artifacts = bench.scene, bench.resolve()
        bench.trees(artifacts)
        found = bench.materializer.environment(artifacts, scene.target, scene.provided)
        assert bench.materializer.environment(artifacts, scene.target, scene.provided) == found
        for name, value in found.env:
            assert name
            assert not set("=\0") & set(name)
            assert "\0" not in value
        assert all(folder.startswith("/") for folder in found.path)
        assert str(bench.workshop.home) not in str(found)


def _walk(bench: Bench, artifact: Artifact) -> None:
    """Fetch and describe one artifact, its contents too: some fetch only then."""
    for tree in bench.trees([artifact]):
        _content(tree)


def _content(tree: Tree) -> list[tuple[Entry, bytes]]:
    return [(entry, _bytes(entry)) for entry in tree.entries()]


def _bytes(entry: Entry) -> bytes:
    return entry.source if isinstance(entry.source, bytes) else entry.source.read_bytes()
