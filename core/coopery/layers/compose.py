"""All layers of stage 2: decide clashes, find what was cut before, cut the rest, put them in order."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Final

from attrs import frozen

from coopery.errors import PackageError
from coopery.events import Emit, LayerDone, Progress
from coopery.key import layer_key
from coopery.layer import Layer, Tree
from coopery.layers.clash import lost
from coopery.layers.cut import cut_into, named
from coopery.layers.members import Members, members, problem_of
from coopery.layers.order import fits, groups
from coopery.layers.store import LayerStore, Shape
from coopery.layers.turns import Turns
from coopery.target import DIRECTORY_MODE, Parent, Resolved

RECIPE: Final = "coopery.layers.v1"
"""Names what `coopery.layers.cut` and below do. A change that changes bytes raises it, and every layer is cut anew."""


def compose(
    trees: Sequence[Tree], target: Resolved, store: LayerStore, below: int, emit: Emit, workers: int = 2
) -> tuple[Layer, ...]:
    """The layers that hold *trees*, from the bottom up; each is in the store on return.

    The same trees, target and *below* give the same layers, whatever was cut before and by how many workers.

    Args:
        trees: what the materializers described; any order.
        target: whose base's directories above the prefix keep their mode and owner.
        store: where layers are found and kept.
        below: layers of base and steps.
        emit: told of each layer, from the calling thread.
        workers: threads that cut.

    Raises:
        PackageError: a package cannot be a layer, or contradicts another.
        IntegrityError: a package's file changed.
        BaseError: the base leaves no room for layers.
        CacheError: the disk refused.
    """
    return _Composition(tuple(dict.fromkeys(trees)), target.facts.parents, store, emit, workers).layers(below)


@frozen
class _Piece:
    """One tree as this image needs it."""

    tree: Tree
    key: str
    paths: tuple[str, ...]
    lost: frozenset[str]
    known: bool


class _Composition:
    """One call of `compose`."""

    def __init__(
        self, trees: Sequence[Tree], parents: Sequence[Parent], store: LayerStore, emit: Emit, workers: int
    ) -> None:
        self._trees = trees
        self._parents = parents
        self._store = store
        self._emit = emit
        self._workers = workers
        self._turns = Turns()
        self._shapes: dict[str, Shape] = {}
        self._pieces = {piece.tree: piece for piece in self._claimed()}

    def layers(self, below: int) -> tuple[Layer, ...]:
        if fits(self._trees, below):
            made = self._cut([(tree,) for tree in self._trees])
        else:
            self._measure()
            made = self._cut(groups(self._trees, self._sizes(), below))
        self._check_folders()
        return tuple(made[group] for group in groups(self._trees, self._sizes(), below))

    def _claimed(self) -> list[_Piece]:
        """Each tree with the paths that it has and those that it loses."""
        keys = [layer_key(tree.identity) for tree in self._trees]
        owners: dict[str, Tree] = {}
        for tree, key in zip(self._trees, keys, strict=True):
            if owners.setdefault(key, tree) is not tree:
                raise PackageError(tree.name, f"claims to have exactly the bytes of {owners[key].name}")
        shapes = [self._store.shape(key) for key in keys]
        self._shapes.update({key: shape for key, shape in zip(keys, shapes, strict=True) if shape})
        paths = [shape.paths if shape else tuple(tree.paths()) for tree, shape in zip(self._trees, shapes, strict=True)]
        rows = zip(self._trees, keys, paths, lost(self._trees, paths), shapes, strict=True)
        pieces = [_Piece(tree, key, own, loses, shape is not None) for tree, key, own, loses, shape in rows]
        for piece in pieces:
            for path in sorted(piece.lost):  # they are hashed into a layer's identity before anybody lays them out
                if problem := problem_of(path):
                    raise PackageError(piece.tree.name, f"{path!a}: {problem}")
        return pieces

    def _sizes(self) -> list[int]:
        return [self._shapes[self._pieces[tree].key].size for tree in self._trees]

    def _measure(self) -> None:
        """Walk the trees whose sizes decide who shares a layer, and which nobody has laid out yet."""
        for piece in self._pieces.values():
            if not piece.known:
                self._learn(piece, members(piece.tree))

    def _learn(self, piece: _Piece, laid: Members) -> None:
        """Keep what a tree turned out to have, once it agrees with what was claimed: clashes were decided by that."""
        unclaimed = laid.listed - laid.folders - {path.removesuffix("/") for path in piece.paths}
        if unclaimed:
            raise PackageError(piece.tree.name, f"{min(unclaimed)!r}: laid out, but not among the paths that it named")
        shape = Shape(piece.paths, tuple(sorted(laid.folders)), laid.size)
        self._store.put_shape(piece.key, shape)
        self._shapes[piece.key] = shape

    def _check_folders(self) -> None:
        """Refuse a directory that is something else in another tree; a tree need not name empty ones beforehand."""
        owners = {path: tree for tree in self._trees for path in self._shapes[self._pieces[tree].key].folders}
        for tree, piece in self._pieces.items() if owners else ():
            shape = self._shapes[piece.key]
            wrong = (owners.keys() & shape.paths) - set(shape.folders)
            if wrong:
                path = min(wrong)
                raise PackageError(tree.name, f"{path!r}: a directory in {owners[path].name}, something else here")

    def _cut(self, plan: Sequence[tuple[Tree, ...]]) -> dict[tuple[Tree, ...], Layer]:
        """The layer of each group, found or made."""
        keys = {group: self._key(group) for group in plan}
        made: dict[tuple[Tree, ...], Layer] = {}
        for group, key in keys.items():
            if (found := self._store.get(key)) and all(self._pieces[tree].known for tree in group):
                made[group] = named(found, group)
                self._report(made, group, len(plan))
        missing = sorted((group for group in plan if group not in made), key=self._weight, reverse=True)
        if missing:
            self._cut_missing(missing, keys, made, len(plan))
        return made

    def _cut_missing(
        self,
        missing: Sequence[tuple[Tree, ...]],
        keys: dict[tuple[Tree, ...], str],
        made: dict[tuple[Tree, ...], Layer],
        total: int,
    ) -> None:
        with ThreadPoolExecutor(self._workers, thread_name_prefix="cut") as pool:
            futures = {pool.submit(self._make, group, keys[group]): group for group in missing}
            try:
                for future in as_completed(futures):
                    group = futures[future]
                    made[group] = future.result()
                    self._report(made, group, total)
            except BaseException:
                self._turns.stop()
                pool.shutdown(cancel_futures=True)
                raise

    def _make(self, group: tuple[Tree, ...], key: str) -> Layer:
        pieces = [self._pieces[tree] for tree in group]
        omit = [piece.lost for piece in pieces]
        layer, laid = cut_into(self._store.blobs, group, omit=omit, parents=self._parents, turns=self._turns)
        for piece, part in zip(pieces, laid, strict=True):
            if not piece.known:
                self._learn(piece, part)
        self._store.put(key, layer)
        return layer

    def _key(self, group: tuple[Tree, ...]) -> str:
        """Everything that the bytes of the group's layer depend on."""
        pieces = [self._pieces[tree] for tree in group]
        parents = [
            ("parent", f"{parent.path} {parent.mode:o} {parent.uid}:{parent.gid}")
            for parent in self._parents
            if (parent.mode, parent.uid, parent.gid) != (DIRECTORY_MODE, 0, 0)
        ]
        # No path holds NUL, so that the keys and paths cannot run into each other.
        trees = [("tree", "\0".join((piece.key, *sorted(piece.lost)))) for piece in pieces]
        return layer_key((("recipe", RECIPE), *parents, *trees))

    def _weight(self, group: tuple[Tree, ...]) -> tuple[int, int]:
        """What to cut first: the largest; before sizes are known, what has the most paths."""
        pieces = [self._pieces[tree] for tree in group]
        sizes = [self._shapes[piece.key].size for piece in pieces if piece.key in self._shapes]
        return sum(sizes), sum(len(piece.paths) for piece in pieces)

    def _report(self, made: dict[tuple[Tree, ...], Layer], group: tuple[Tree, ...], total: int) -> None:
        name = group[0].name if len(group) == 1 else f"{len(group)} packages"
        layer = made[group]
        self._emit(LayerDone(name=name, size=layer.size, made=layer.made))
        self._emit(Progress(stage="layers", done=len(made), total=total, unit="layers", item=name))
