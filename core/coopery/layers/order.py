"""Which trees share a layer, and in which order layers lie. Pure functions of the lock.

From the bottom: floor ascending, size descending, ties by name, then what depends on the whole environment. A local
engine registers again everything above the first layer that changed, so what is large and changes seldom lies low.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

from coopery.errors import BaseError
from coopery.layer import Tree

MAX_LAYERS: Final = 125
"""Layers of one image, those of base and steps counted: engines that stack overlays take 127 or 128."""

_SHARE_OF_BUCKETS: Final = 4

Groups = tuple[tuple[Tree, ...], ...]


def groups(trees: Sequence[Tree], sizes: Sequence[int], below: int, limit: int = MAX_LAYERS) -> Groups:
    """The layers of one image, each a group of trees, from the bottom up.

    While there is room, each tree is alone. Otherwise a quarter of the room goes to buckets and the largest trees stay
    alone in the rest. "Largest" goes by powers of two, and a tree's bucket by a hash of its package's name, so that a
    package that changes moves no other: only one that crosses a power of two may change places with another. The
    number of buckets depends on the room and the floors, never on the packages.

    Args:
        trees: all of stage 2.
        sizes: bytes of each, `coopery.layers.members.Members.size`.
        below: layers of base and steps.
        limit: of the whole image.

    Raises:
        BaseError: the base leaves no room for one layer a floor.
    """
    if not trees:
        return ()
    size_of = dict(zip(trees, sizes, strict=True))
    ends = [tree for tree in trees if tree.last]
    others = sorted(
        (tree for tree in trees if not tree.last), key=lambda tree: (-size_of[tree].bit_length(), _name(tree))
    )
    alone, buckets = _share(others, limit - below, len(ends))
    layers = [(tree,) for tree in others[:alone]] + _buckets(others[alone:], buckets)
    layers.sort(key=lambda group: (group[0].floor, -sum(size_of[tree] for tree in group), _name(group[0])))
    return (*layers, *((tree,) for tree in sorted(ends, key=lambda tree: (tree.floor, _name(tree)))))


def fits(trees: Sequence[Tree], below: int, limit: int = MAX_LAYERS) -> bool:
    """Whether each tree can be alone, so that sizes decide nothing but the order."""
    return len(trees) <= limit - below


def _share(others: Sequence[Tree], left: int, ends: int) -> tuple[int, int]:
    """How many trees stay alone, and how many buckets each floor has, where *left* layers may be made."""
    room = left - ends
    if len(others) <= room:
        return len(others), 0
    floors = len({tree.floor for tree in others})
    if room < floors:
        raise BaseError(
            f"the base and its steps leave {max(left, 0)} layers for packages, which need {floors + ends} at least",
            remedy="start from a base with fewer layers, or squash it",
        )
    each = max(room // _SHARE_OF_BUCKETS // floors, 1)
    return room - each * floors, each


def _buckets(trees: Sequence[Tree], each: int) -> list[tuple[Tree, ...]]:
    found: dict[tuple[int, int], list[Tree]] = {}
    for tree in sorted(trees, key=_name):
        number = int.from_bytes(sha256(tree.package.encode()).digest()[:8]) % each
        found.setdefault((tree.floor, number), []).append(tree)
    return [tuple(group) for group in found.values()]


def _name(tree: Tree) -> tuple[Any, ...]:
    return (tree.package, tree.name, tree.identity)
