"""Cut trees into one tar: sorted by the bytes of the path, every parent listed once, nothing of the builder in it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from coopery.errors import PackageError
from coopery.layer import Entry, Layer, Tree
from coopery.layers.members import Members, members
from coopery.layers.tar import Sink, TarWriter
from coopery.layers.turns import Turns
from coopery.target import DIRECTORY_MODE, Parent

if TYPE_CHECKING:
    from coopery.blobs import BlobStore


@frozen
class Layout:
    """One layer before its bytes: every entry that it will have, parents too.

    Attributes:
        entries: by path.
        owners: path → name of the tree that it comes from, for errors; parents that nobody lists have none.
        parts: what each tree turned out to have, in the order of the trees.
    """

    entries: dict[str, Entry]
    owners: dict[str, str]
    parts: tuple[Members, ...]

    def write(self, sink: Sink, turns: Turns | None = None) -> None:
        """Write the tar to *sink*, which is not closed. *turns* are shared by the threads that cut at once.

        Raises:
            PackageError: a source cannot be read.
            IntegrityError: a source is not what its entry says.
        """
        with (turns or Turns()).taken(sink) as taking:
            tar = TarWriter(taking)
            for path in sorted(self.entries):  # by code point, which is the order of the UTF-8 bytes too
                tar.add(self.entries[path], self.owners.get(path, ""))
            tar.close()


def lay_out(trees: Sequence[Tree], omit: Sequence[Collection[str]] = (), parents: Iterable[Parent] = ()) -> Layout:
    """What a layer with all of *trees* has. No content is read.

    Args:
        trees: one, or several that share a layer. Where two list one directory, the later one's mode stands.
        omit: for each tree, the paths that it loses to another; see `coopery.layers.clash`. Empty: none loses any.
        parents: directories of the base, repeated with its mode and owner wherever a tree needs them, so that no
            engine changes them. Other parents are 0755 and belong to 0:0, unless a tree lists them.

    Raises:
        PackageError: a tree cannot be a layer, or is contradicted by another; named.
    """
    parts = tuple(members(tree, lost) for tree, lost in zip(trees, omit or [()] * len(trees), strict=True))
    layout = Layout({}, {}, parts)
    for tree, part in zip(trees, parts, strict=True):
        _merge(layout.entries, layout.owners, tree.name, part)
    _add_parents(layout.entries, layout.owners, parents)
    return layout


def cut_into(
    blobs: BlobStore,
    trees: Sequence[Tree],
    *,
    omit: Sequence[Collection[str]] = (),
    parents: Iterable[Parent] = (),
    turns: Turns | None = None,
) -> tuple[Layer, tuple[Members, ...]]:
    """Lay out *trees* and write them into a blob; the layer's line of history names them.

    Args:
        blobs: where the layer is on return.
        trees: as for `lay_out`, and so are *omit* and *parents*.
        omit: as for `lay_out`.
        parents: as for `lay_out`.
        turns: as for `Layout.write`.

    Returns:
        The layer, and what each tree turned out to have.

    Raises:
        PackageError, IntegrityError: as `lay_out` and `Layout.write`.
        CacheError: the disk refused; nothing is kept.
    """
    layout = lay_out(trees, omit, parents)
    with blobs.create() as writer:
        layout.write(writer, turns)
    if writer.digest is None:
        raise AssertionError("a blob that was created without an error has a digest")
    layer = Layer(writer.digest, writer.digest, writer.size, made=True)
    return named(layer, trees), layout.parts


def named(layer: Layer, trees: Sequence[Tree]) -> Layer:
    """*layer* with its line of history and the packages inside, which are no part of its bytes."""
    created_by = "coopery: " + ", ".join(tree.name for tree in trees)
    return evolve(layer, created_by=created_by, packages=tuple(tree.package for tree in trees))


def _merge(entries: dict[str, Entry], owners: dict[str, str], name: str, part: Members) -> None:
    for path, entry in part.entries.items():
        other = entries.get(path)
        if other is not None and not other.kind == entry.kind == "directory":
            raise PackageError(name, f"{path!r}: {owners[path]} has it too")
        entries[path] = entry
        owners[path] = name


def _add_parents(entries: dict[str, Entry], owners: dict[str, str], parents: Iterable[Parent]) -> None:
    """List every directory above an entry, as the base has it where it does.

    Raises:
        PackageError: one of them is no directory.
    """
    directories: set[str] = set()
    for path in entries:
        above = path.rpartition("/")[0]
        while above and above not in directories:
            _check_directory(entries, owners, above, f"{owners[path]} has {path!r} below it")
            directories.add(above)
            above = above.rpartition("/")[0]
    for path in directories - entries.keys():
        entries[path] = Entry(path, "directory", DIRECTORY_MODE)
    for parent in parents:
        path = parent.path.strip("/")
        if path in entries:
            _check_directory(entries, owners, path, "the base has a directory there")
            entries[path] = Entry(path, "directory", parent.mode, uid=parent.uid, gid=parent.gid)


def _check_directory(entries: dict[str, Entry], owners: dict[str, str], path: str, but: str) -> None:
    entry = entries.get(path)
    if entry is not None and entry.kind != "directory":
        raise PackageError(owners[path], f"{path!r}: a {entry.kind}, but {but}")
