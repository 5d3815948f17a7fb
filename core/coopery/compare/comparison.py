"""What differs between two sides: inputs, base, packages, layers, config. Pure; what one side lacks is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from coopery.compare.side import ImageSeen, LayerSeen, Package, Side
from coopery.why import Difference, differences


@frozen
class PackageChange:
    """One package that is not the same on both sides; None where a side does not have it."""

    kind: str
    name: str
    before: Package | None
    after: Package | None


@frozen
class Packages:
    """Packages that differ, by kind and name, and how many are the same."""

    changes: tuple[PackageChange, ...]
    same: int


@frozen
class Layers:
    """Layers of two images. Sizes are stored bytes: of the second side for what is shared."""

    shared: tuple[LayerSeen, ...]
    only_a: tuple[LayerSeen, ...]
    only_b: tuple[LayerSeen, ...]


@frozen
class Comparison:
    """Two sides and what differs. A part that is None could not be compared: one side does not tell.

    Attributes:
        a, b: the sides.
        inputs: which inputs make the keys differ.
        base: digests of the two bases, where they differ; empty where they are one.
        packages: exact packages.
        layers: of the images.
        config: what the images' configs say.
    """

    a: Side
    b: Side
    inputs: tuple[Difference, ...] | None
    base: tuple[str, ...] | None
    packages: Packages | None
    layers: Layers | None
    config: tuple[Difference, ...] | None

    @property
    def same(self) -> bool:
        """Whether nothing differs in what could be compared; two images are the same when their ids are."""
        if self.a.image is not None and self.b.image is not None:
            return self.a.image.id == self.b.image.id
        return not (self.inputs or self.base or (self.packages and self.packages.changes))

    @property
    def empty(self) -> bool:
        """Whether the two sides have nothing in common that could be compared."""
        return all(part is None for part in (self.inputs, self.packages, self.layers, self.config))


def compare(a: Side, b: Side) -> Comparison:
    """Everything that both sides tell of."""
    return Comparison(
        a=a,
        b=b,
        inputs=None if a.identity is None or b.identity is None else differences(a.identity, b.identity),
        base=None if a.base is None or b.base is None else (() if a.base == b.base else (a.base, b.base)),
        packages=None if a.packages is None or b.packages is None else packages(a.packages, b.packages),
        layers=None if a.image is None or b.image is None else layers(a.image, b.image),
        config=None if a.image is None or b.image is None else config(a.image.config, b.image.config),
    )


def packages(a: Iterable[Package], b: Iterable[Package]) -> Packages:
    """Packages by kind and name. Where one side does not know kinds, by name alone."""
    a, b = tuple(a), tuple(b)
    kinds = all(package.kind for package in (*a, *b))
    before, after = ({(one.kind if kinds else "", one.name): one for one in side} for side in (a, b))
    changes = [
        PackageChange(kind, name, before.get((kind, name)), after.get((kind, name)))
        for kind, name in sorted(before.keys() | after.keys())
        if not _same(before.get((kind, name)), after.get((kind, name)))
    ]
    return Packages(tuple(changes), len(before.keys() | after.keys()) - len(changes))


def _same(a: Package | None, b: Package | None) -> bool:
    if a is None or b is None:
        return False
    if a.sha256 and b.sha256:
        return a.sha256 == b.sha256
    return (a.version, a.build) == (b.version, b.build)


def layers(a: ImageSeen, b: ImageSeen) -> Layers:
    """Layers by their diff ids, so that compression does not count."""
    count = Counter(layer.diff_id for layer in a.layers)
    shared: list[LayerSeen] = []
    only_b: list[LayerSeen] = []
    for layer in b.layers:
        (shared if count[layer.diff_id] else only_b).append(layer)
        count[layer.diff_id] -= count[layer.diff_id] > 0
    only_a = []
    for layer in reversed(a.layers):  # what is left over of several equal ones is the uppermost
        if count[layer.diff_id]:
            count[layer.diff_id] -= 1
            only_a.append(layer)
    return Layers(tuple(shared), tuple(reversed(only_a)), tuple(only_b))


def config(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Fields of two image configs, ``Env`` and labels one by one."""
    before, after = dict(_flat(a)), dict(_flat(b))
    return tuple(
        Difference(name, before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    )


def _flat(values: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name, value in values.items():
        if name == "Env" and isinstance(value, list):
            for text in value:
                variable, _, content = str(text).partition("=")
                yield f"env {variable}", content
        elif isinstance(value, dict):
            for inner, content in value.items():
                yield f"{name.lower()} {inner}".rstrip(), "" if content in ({}, None) else str(content)
        elif value not in (None, "", [], False):
            yield name.lower(), " ".join(map(str, value)) if isinstance(value, list) else str(value)
