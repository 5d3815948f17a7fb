"""Packages into layers: one package, one layer, cut once per machine; small ones share where there are very many."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from attrs import asdict, frozen

from coopery import sharing
from coopery.backend import Workshop
from coopery.blobs import disk_error
from coopery.errors import BaseError, IntegrityError, PackageError
from coopery.events import LayerDone, Progress
from coopery.layer import Entry, Layer, Tree
from coopery.layers.cut import cut_into
from coopery.target import Parent
from coopery_debian.archive import Archive
from coopery_debian.base_layout import PARENTS, base_layout
from coopery_debian.clash import Contents, Variant, settle
from coopery_debian.index import Package
from coopery_debian.memo import Memo
from coopery_debian.merge_usr import MERGED
from coopery_debian.unpack import unpack

RECIPE: Final = "coopery.debian.v1"
"""Raise it when equal packages give other bytes than before."""

_AT_ONCE: Final = 4
ALONE: Final = 40
SHARED: Final = 8
"""Above ALONE + SHARED packages, the largest ALONE keep a layer each and the others share SHARED layers by name, so
that an image has room for other layers below the 125 that engines take."""

_T = TypeVar("_T")


@frozen
class _Packed:
    """One package as it is when it is alone."""

    package: Package
    contents: Contents
    layer: Layer


class Packing:
    """Cuts the packages of one base.

    Args:
        workshop: folders, blobs, and where to report.
        memo: layers that were cut before.
        archive: where packages come from.
    """

    def __init__(self, workshop: Workshop, memo: Memo, archive: Archive) -> None:
        self._workshop, self._memo, self._archive = workshop, memo, archive

    def layers(self, packages: Sequence[Package], architecture: str) -> tuple[Layer, ...]:
        """The layers of a base, from the bottom up: the layout, then packages, the largest first, ties by name.

        Raises:
            BaseError: a package cannot be had, is damaged, or clashes with another.
        """
        names = [package.name for package in packages]
        packed = self._side_by_side(self._alone, packages, self._report)
        merged = {path.split("/")[1] for one in packed for path in one.contents.others if _in_merged(path)}
        layout = base_layout(architecture, names, merged)
        variants = settle(packages, {one.package.name: one.contents for one in packed}, Contents.of(layout))
        groups = _groups(packed)
        return (self._layout(layout), *self._side_by_side(partial(self._group, variants=variants), groups))

    def _side_by_side(
        self, work: Callable[[Any], _T], items: Sequence[Any], report: Callable[[int, int, Any], None] | None = None
    ) -> list[_T]:
        """*work* on each of *items*, a few at once; after the first error nothing more is begun."""
        done: list[_T] = []
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="debian") as pool:
            running = [pool.submit(work, item) for item in items]
            try:
                for item, future in zip(items, running, strict=True):
                    done.append(future.result())
                    if report is not None:
                        report(len(done), len(items), item)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return done

    def _alone(self, package: Package) -> _Packed:
        known = self._memo.get("package", RECIPE, package.sha256)
        if known and (layer := self._there(known["layer"])):
            return _Packed(package, Contents.from_json(known["contents"]), layer)
        seen: list[Contents] = []
        layer = self._cut((package,), {}, seen)
        value = {"layer": layer_to_json(layer), "contents": seen[0].to_json()}
        self._memo.put(value, "package", RECIPE, package.sha256)
        return _Packed(package, seen[0], layer)

    def _group(self, group: Sequence[_Packed], variants: Mapping[str, Variant]) -> Layer:
        """The layer of one package as it was cut already, or of several, or of one that must look otherwise here."""
        if len(group) == 1 and group[0].package.name not in variants:
            return self._done(group[0].layer)
        packages = tuple(one.package for one in group)
        parts = [(package.sha256, repr(variants.get(package.name, Variant()))) for package in packages]
        name = ("group", RECIPE, *(part for pair in parts for part in pair))
        if layer := self._there(self._memo.get(*name)):
            return self._done(layer)
        layer = self._cut(packages, variants, [])
        self._memo.put(layer_to_json(layer), *name)
        return self._done(layer)

    def _cut(self, packages: Sequence[Package], variants: Mapping[str, Variant], seen: list[Contents]) -> Layer:
        """Unpack and cut *packages* into one layer; what each holds is added to *seen*."""
        scratch = Path(_scratch(self._workshop.staging))
        try:
            trees, omit, parents = [], [], list(PARENTS)
            for package in packages:
                folder = scratch / package.name
                folder.mkdir()
                entries = unpack(self._archive.package(package), package.name, folder)
                variant = variants.get(package.name, Variant())
                seen.append(Contents.of(entries))
                trees.append(_tree(str(package), package.name, entries))
                omit.append(variant.omit)
                parents += [Parent(f"/{path}", *owned) for path, owned in variant.directories]
            layer, _ = cut_into(self._workshop.blobs, trees, omit=omit, parents=parents)
        except (PackageError, IntegrityError) as exc:
            raise BaseError(exc.message, remedy=exc.remedy) from exc
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return layer

    def _layout(self, entries: Sequence[Entry]) -> Layer:
        layer, _ = cut_into(self._workshop.blobs, [_tree("Debian base layout", "base-layout", entries)])
        return self._done(layer)

    def _there(self, known: Mapping[str, Any] | None) -> Layer | None:
        """A layer from a memo, if its blob is still here."""
        layer = layer_from_json(known) if known else None
        return layer if layer and self._workshop.blobs.size(layer.digest) == layer.size else None

    def _done(self, layer: Layer) -> Layer:
        self._workshop.emit(
            LayerDone(name=layer.created_by.removeprefix("coopery: "), size=layer.size, made=layer.made)
        )
        return layer

    def _report(self, done: int, total: int, package: Package) -> None:
        self._workshop.emit(Progress(stage="base", done=done, total=total, unit="packages", item=str(package)))


def _scratch(staging: Path) -> str:
    try:
        sharing.make_folders(staging)
        return tempfile.mkdtemp(prefix="debian-", dir=staging)
    except OSError as exc:
        raise disk_error(exc) from exc


def _tree(name: str, package: str, entries: Sequence[Entry]) -> Tree:
    return Tree(name, package, (), lambda: [entry.path for entry in entries], lambda: entries)


def _in_merged(path: str) -> bool:
    parts = path.split("/")
    return len(parts) > 2 and parts[0] == "usr" and parts[1] in MERGED


def _groups(packed: Sequence[_Packed]) -> list[tuple[_Packed, ...]]:
    """Packages by layer, from the bottom up. A pure function of the packages."""
    ordered = sorted(packed, key=lambda one: (-one.layer.size, one.package.name))
    if len(ordered) <= ALONE + SHARED:
        return [(one,) for one in ordered]
    buckets: dict[int, list[_Packed]] = {}
    for one in sorted(ordered[ALONE:], key=lambda one: one.package.name):
        number = hashlib.sha256(one.package.name.encode()).digest()[0] % SHARED
        buckets.setdefault(number, []).append(one)
    return [*((one,) for one in ordered[:ALONE]), *(tuple(buckets[number]) for number in sorted(buckets))]


def layer_to_json(layer: Layer) -> dict[str, Any]:
    """Plain data, for memos; whether it was made just now is no part of it."""
    return {name: value for name, value in asdict(layer).items() if name != "made"}


def layer_from_json(data: Mapping[str, Any]) -> Layer:
    """A layer as `layer_to_json` wrote it; found, not made."""
    return Layer(**{**data, "packages": tuple(data["packages"])})
