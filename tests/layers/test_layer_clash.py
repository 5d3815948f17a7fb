"""Who has a path that two packages own."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coopery.errors import PackageError
from coopery.layer import Tree
from coopery.layers.clash import lost
from layers.forest import file, folder, tree


def losses(*trees: Tree) -> dict[str, set[str]]:
    return {
        tree.package: set(paths)
        for tree, paths in zip(trees, lost(trees, [tuple(tree.paths()) for tree in trees]), strict=True)
        if paths
    }


@pytest.mark.parametrize(
    ("one", "two", "loser"),
    [
        ({}, {}, "b"),
        ({"rank": 1}, {"rank": 2}, "a"),
        ({"rank": 2}, {"rank": 1}, "b"),
        ({"rank": 9}, {"floor": 1}, "a"),
        ({"floor": 1, "rank": 9}, {"last": True}, "a"),
    ],
)
def test_the_winner(one: dict[str, int], two: dict[str, int], loser: str) -> None:
    a, b = tree("a", file("x/shared"), file("x/a"), **one), tree("b", file("x/shared"), **two)
    assert losses(a, b) == losses(b, a) == {loser: {"x/shared"}}


def test_directories_do_not_clash_however_they_are_listed() -> None:
    a = tree("a", file("d/e/one"), folder("d"), folder("empty"))
    b = Tree("b", "b", (), lambda: ["d/", "d/e/", "d/e/two", "empty/"], lambda: ())
    c = tree("c", folder("d/e"), folder("empty"))
    assert losses(a, b, c) == {}


def test_an_empty_directory_without_a_slash_is_at_worst_left_to_one_tree() -> None:
    assert losses(tree("a", folder("empty")), tree("b", folder("empty"))) == {"b": {"empty"}}


@pytest.mark.parametrize("deep", ["d/x", "d/x/y/z"])
def test_a_file_against_a_directory_names_both(deep: str) -> None:
    for a, b in permutations([tree("file", file("d")), tree("dir", file(deep))]):
        with pytest.raises(PackageError, match="file 1: 'd': a directory in dir 1") as caught:
            losses(a, b)
        assert caught.value.package == "file 1"


def test_many_owners() -> None:
    trees = [tree(name, file("x"), file(name), rank=rank) for rank, name in enumerate("pqrst")]
    assert losses(*trees) == {name: {"x"} for name in "pqrs"}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sets(st.sampled_from("abcdefgh")), st.integers(0, 2), st.integers(0, 1)), max_size=6),
    st.randoms(),
)
def test_every_path_has_one_owner_whatever_the_order(made: list[tuple[set[str], int, int]], random: object) -> None:
    trees = [
        tree(f"p{n}", *(file(f"d/{path}") for path in sorted(own)), rank=rank, floor=floor)
        for n, (own, rank, floor) in enumerate(made)
    ]
    first = losses(*trees)
    owned = [path for t in trees for path in t.paths() if path not in first.get(t.package, ())]
    assert sorted(owned) == sorted({path for t in trees for path in t.paths()})
    random.shuffle(trees)  # type: ignore[attr-defined]
    assert losses(*trees) == first
