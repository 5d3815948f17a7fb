"""Paths that two packages own: who has them in the image, and who is cut without them. Pure.

The winner is the tree that a plain installation would write last: the last tree of all, then the higher floor, then
the higher rank; ties go to the name that comes first. Directories are shared, not fought for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from coopery.errors import PackageError
from coopery.layer import Tree


def lost(trees: Sequence[Tree], paths: Sequence[Collection[str]]) -> tuple[frozenset[str], ...]:
    """For each of *trees*, the paths that it must leave to another.

    Args:
        trees: all trees of one image.
        paths: of each tree, as `coopery.layer.Tree.paths` gives them.

    Raises:
        PackageError: what is a directory in one tree is something else in another; names both.
    """
    folders = [_folders(own) for own in paths]
    everywhere = set[str]().union(*folders)
    seen: set[str] = set()
    shared: set[str] = set()
    for own in paths:
        shared.update(seen.intersection(own))
        seen.update(own)
    # From here on only what is shared is looked at: of the paths of an environment, almost nothing.
    doubtful = seen & everywhere
    held = [(shared | doubtful).intersection(own) for own in paths] if shared or doubtful else [set()] * len(trees)
    for path in sorted(doubtful):
        _check(path, trees, held, folders)
    return _losers(trees, held, {path for path in shared - everywhere if not path.endswith("/")})


def _folders(paths: Iterable[str]) -> set[str]:
    """Every directory that *paths* lie in, at any depth. ``a/b/`` lies in ``a/b``: that is how a tree lists one."""
    found = {path.rpartition("/")[0] for path in paths}
    for path in list(found):
        above = path.rpartition("/")[0]
        while above and above not in found:
            found.add(above)
            above = above.rpartition("/")[0]
    found.discard("")
    return found


def _losers(trees: Sequence[Tree], held: Sequence[Collection[str]], shared: set[str]) -> tuple[frozenset[str], ...]:
    losses: list[set[str]] = [set() for _ in trees]
    order = sorted(range(len(trees)), key=lambda index: _precedence(trees[index]))
    for path in shared:
        owners = [index for index in order if path in held[index]]
        for loser in owners[1:]:
            losses[loser].add(path)
    return tuple(map(frozenset, losses))


def _precedence(tree: Tree) -> tuple[Any, ...]:
    return (not tree.last, -tree.floor, -tree.rank, tree.package, tree.name, tree.identity)


def _check(
    path: str, trees: Sequence[Tree], held: Sequence[Collection[str]], folders: Sequence[Collection[str]]
) -> None:
    """Refuse *path*, a directory in one tree and a leaf in another, unless the leaf is an empty directory."""
    folder = next(tree for tree, own in zip(trees, folders, strict=True) if path in own)
    for tree, own, above in zip(trees, held, folders, strict=True):
        if path in own and path not in above and not _is_directory(tree, path):
            raise PackageError(tree.name, f"{path!r}: a directory in {folder.name}, something else here")


def _is_directory(tree: Tree, path: str) -> bool:
    """Whether *tree* lists an empty directory without the slash; dear, but almost never asked."""
    return any(entry.path == path and entry.kind == "directory" for entry in tree.entries())
