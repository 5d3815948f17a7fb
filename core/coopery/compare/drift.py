"""Which files differ between two images that should be one: layer by layer, entry by entry, byte by byte."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import IO, Final

from attrs import frozen

from coopery.blobs import BlobStore
from coopery.image import Assembled
from coopery.layer import Layer
from coopery.oci.layer_blob import plain_blob
from coopery.oci.layer_index import members_of
from coopery.oci.tar import Member

_CHUNK: Final = 1 << 20
_FIELDS: Final = ("kind", "mode", "uid", "gid", "size", "mtime", "target")


@frozen
class Drift:
    """One file, or one field of the config, that is not the same.

    Attributes:
        path: absolute in the image; ``config …`` for what is no file.
        what: how it differs, in words.
        layer: number of its layer in the recorded image, 1 at the bottom; 0 for the config.
        source: the layer's line of history: what it was cut from.
    """

    path: str
    what: str
    layer: int = 0
    source: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def drifts(before: Assembled, old: BlobStore, after: Assembled, new: BlobStore) -> Iterator[Drift]:
    """How *after*, whose blobs are in *new*, differs from *before*, whose blobs are in *old*; from the bottom up.

    Raises:
        IntegrityError: a blob is missing or damaged.
    """
    for number, (a, b) in enumerate(pairs(before.layers, after.layers), 1):
        source = (a or b or before.layers[0]).created_by
        if a is None or b is None:
            yield Drift(f"layer {number}", "only built again" if a is None else "not built again", number, source)
        elif a.diff_id != b.diff_id:
            for path, what in _entries(a, old, b, new):
                yield Drift(f"/{path}", what, number, source)
    yield from _config(before, after)


def pairs(before: Sequence[Layer], after: Sequence[Layer]) -> Iterator[tuple[Layer | None, Layer | None]]:
    """Layers that answer each other: those of one line of history, and what is left by place."""
    left = list(after)
    rest: list[tuple[Layer, int]] = []
    found: dict[int, Layer | None] = {}
    for number, layer in enumerate(before):
        same = next((one for one in left if one.diff_id == layer.diff_id), None)
        same = same or next((one for one in left if one.created_by and one.created_by == layer.created_by), None)
        if same is not None:
            left.remove(same)
            found[number] = same
        else:
            rest.append((layer, number))
    for _, number in rest:
        found[number] = left.pop(0) if left else None
    yield from ((layer, found[number]) for number, layer in enumerate(before))
    yield from ((None, layer) for layer in left)


def _entries(a: Layer, old: BlobStore, b: Layer, new: BlobStore) -> Iterator[tuple[str, str]]:
    before = {member.path: member for member in members_of(a, old)}
    after = {member.path: member for member in members_of(b, new)}
    with plain_blob(a, old).open("rb") as old_tar, plain_blob(b, new).open("rb") as new_tar:
        for path in sorted(before.keys() | after.keys()):
            one, other = before.get(path), after.get(path)
            if one is None or other is None:
                yield path, "only built again" if one is None else "not built again"
            elif what := _difference(one, old_tar, other, new_tar):
                yield path, what
    if list(before) != list(after) and before.keys() == after.keys():
        yield next(a for a, b in zip(before, after, strict=True) if a != b), "in another place in the layer"


def _difference(one: Member, old: IO[bytes], other: Member, new: IO[bytes]) -> str:
    changed = [name for name in _FIELDS if getattr(one, name) != getattr(other, name)]
    if changed:
        return ", ".join(f"{name} {_shown(one, name)}, now {_shown(other, name)}" for name in changed)
    if one.kind != "file":
        return ""
    old.seek(one.offset)
    new.seek(other.offset)
    for start in range(0, one.size, _CHUNK):
        length = min(_CHUNK, one.size - start)
        first, second = old.read(length), new.read(length)
        if first != second:
            at = next(n for n, (x, y) in enumerate(zip(first, second, strict=False)) if x != y)
            return f"content, from byte {start + at} of {one.size}"
    return ""


def _shown(member: Member, name: str) -> str:
    value = getattr(member, name)
    return f"{value:04o}" if name == "mode" else str(value)


def _config(before: Assembled, after: Assembled) -> Iterator[Drift]:
    """Fields of the configs that differ, but for what follows from the layers."""
    old, new = before.document, after.document
    for name in sorted((old.keys() | new.keys()) - {"rootfs", "history"}):
        if old.get(name) != new.get(name):
            yield Drift(f"config {name}", f"{json.dumps(old.get(name))}, now {json.dumps(new.get(name))}")
