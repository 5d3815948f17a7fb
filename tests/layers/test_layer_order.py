"""Which trees share a layer, and in which order layers lie."""

from __future__ import annotations

from collections import Counter

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from coopery.errors import BaseError
from coopery.layer import Tree
from coopery.layers.order import MAX_LAYERS, Groups, groups
from layers.forest import tree

Sized = dict[Tree, int]


def grouped(sized: Sized, below: int = 0, limit: int = MAX_LAYERS) -> Groups:
    return groups(list(sized), list(sized.values()), below, limit)


def names(layers: Groups) -> list[str]:
    return ["+".join(tree.package for tree in group) for group in layers]


def test_conda_below_pip_largest_at_the_bottom_ties_by_name_and_the_last_on_top() -> None:
    sized = {
        tree("history", last=True): 999,
        tree("wheel", floor=1): 500,
        tree("b"): 10,
        tree("a"): 10,
        tree("numpy"): 300,
        tree("pip-log", floor=1, last=True): 1,
    }
    assert names(grouped(sized)) == ["numpy", "a", "b", "wheel", "history", "pip-log"]


def test_no_trees_no_layers() -> None:
    assert grouped({}) == grouped({}, below=200) == ()


def many(count: int, **fields: int) -> Sized:
    return {tree(f"package-{n}", **fields): 1000 + 37 * n for n in range(count)}


def test_all_alone_while_there_is_room() -> None:
    assert [len(group) for group in grouped(many(120), below=5)] == [1] * 120


def test_a_quarter_of_the_room_is_for_buckets_and_the_largest_stay_alone() -> None:
    layers = grouped(many(500), below=5)
    alone = [group[0].package for group in layers if len(group) == 1]
    assert len(layers) <= 120
    assert len(alone) >= 90
    assert {f"package-{n}" for n in range(420, 500)} <= set(alone)


@pytest.mark.parametrize(("below", "words"), [(124, "leave 1 layers .* need 2"), (130, "leave 0 layers")])
def test_a_base_without_room(below: int, words: str) -> None:
    with pytest.raises(BaseError, match=words):
        grouped({**many(5), **many(5, floor=1)}, below=below)


trees = st.dictionaries(
    st.builds(
        lambda name, floor, last: tree(f"p{name}", floor=floor, last=last),
        st.integers(0, 200),
        st.integers(0, 1),
        st.sampled_from([False] * 30 + [True]),
    ),
    st.integers(0, 1 << 30),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(trees, st.integers(0, 30), st.integers(0, 40), st.randoms(use_true_random=False))
def test_every_tree_once_never_above_the_budget_whatever_the_order(
    sized: Sized, below: int, limit: int, random: object
) -> None:
    try:
        layers = grouped(sized, below, limit)
    except BaseError:
        floors = {tree.floor for tree in sized if not tree.last}
        assert limit - below < len(floors) + sum(tree.last for tree in sized)
        return
    assert below + len(layers) <= max(limit, below)
    assert Counter(tree for group in layers for tree in group) == Counter(list(sized))
    assert [group[0].floor for group in layers if not group[0].last] == sorted(
        tree.floor for tree in (group[0] for group in layers) if not tree.last
    )
    assert all(len({tree.floor for tree in group}) == 1 for group in layers)
    assert all(len(group) == 1 for group in layers if any(tree.last for tree in group))
    items = list(sized.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    assert grouped(dict(items), below, limit) == layers


@settings(max_examples=60, deadline=None)
@given(trees, st.integers(2, 20), st.data())
def test_one_package_that_changes_changes_one_layer(sized: Sized, limit: int, data: st.DataObject) -> None:
    """Its content may change, and its size within a power of two: nothing else moves."""
    sized = {tree: size for tree, size in sized.items() if not tree.last}
    if not sized:
        return
    changed = data.draw(st.sampled_from(sorted(sized, key=lambda tree: (tree.package, tree.floor))))
    low = 1 << max(sized[changed].bit_length() - 1, 0) if sized[changed] else 0
    size = data.draw(st.integers(low, max(2 * low - 1, 0)))
    after = {evolve(tree, identity=(("sha256", "new"),)) if tree == changed else tree: n for tree, n in sized.items()}
    after[evolve(changed, identity=(("sha256", "new"),))] = size
    assert len(set(grouped(sized, 0, limit)) - set(grouped(after, 0, limit))) == 1


@settings(max_examples=60, deadline=None)
@given(trees, st.integers(2, 20), st.data())
def test_a_package_that_grows_or_shrinks_changes_places_with_one_other(
    sized: Sized, limit: int, data: st.DataObject
) -> None:
    sized = {tree: size for tree, size in sized.items() if not tree.last}
    if not sized:
        return
    changed = data.draw(st.sampled_from(sorted(sized, key=lambda tree: (tree.package, tree.floor))))
    before = grouped(sized, 0, limit)
    after = grouped({**sized, changed: data.draw(st.integers(0, 1 << 30))}, 0, limit)
    assert len(set(before) - set(after)) <= 3  # the two that change places, and a bucket that one of them was in
    assert sum(len(group) > 1 for group in set(before) - set(after)) <= 2
