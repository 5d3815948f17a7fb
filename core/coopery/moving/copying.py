"""One copy: from a store, a cache folder or a bundle, to another. See `coopery.build.Builder.copy`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from coopery import digest as _digest
from coopery import use
from coopery.errors import NotFound, UsageError
from coopery.folders import scratch
from coopery.moving import ends, histories, load, manifest
from coopery.moving.cargo import RECORDS, Cargo, History, unique
from coopery.moving.ends import End
from coopery.moving.histories import Merged, Wanted
from coopery.moving.land import Dock, Landed
from coopery.moving.pack import pack
from coopery.moving.unpack import unpack

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.cache import Cache
    from coopery.digest import Digest
    from coopery.shelf import Shelf


@frozen
class Copied:
    """What a copy did.

    Attributes:
        source, target: the two ends, in words.
        keys: of the records that were copied or were there.
        records, records_present: written, and there already.
        images: ids of images that can be used at the target.
        images_missing: ids of images that records name and the source has not.
        parts, parts_present: blobs and packages that were written, and that were there already.
        size: bytes that were written.
        conflicts: names for which the target has something else, each in words; the target's stays.
        skipped: packages that no plugin at the target keeps.
        bundle: digest of the bundle's file, to be compared at both ends; None where there is none.
    """

    source: str
    target: str
    keys: tuple[str, ...]
    records: int = 0
    records_present: int = 0
    images: tuple[Digest, ...] = ()
    images_missing: tuple[Digest, ...] = ()
    parts: int = 0
    parts_present: int = 0
    size: int = 0
    conflicts: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    bundle: Digest | None = None


def copy(
    builder: Builder,
    source: str,
    target: str,
    refs: Sequence[str] = (),
    since: float = 0.0,
    *,
    packages: bool = False,
    digest: str = "",
) -> Copied:
    """See `coopery.build.Builder.copy`."""
    start, end = ends.parse(source), ends.parse(target)
    expected = _expected(start, digest)
    if start == end or (start.kind == end.kind == "home" and ends.home(start, builder) == ends.home(end, builder)):
        raise UsageError(f"{source} and {target} are the same")
    if start.kind == "bundle" and (refs or since):
        raise UsageError("a bundle is taken as a whole", remedy="leave the keys and --since out, or make a smaller one")
    if packages and (start.kind != "home" or end.kind == "store"):
        raise UsageError("packages are copied out of a cache folder, into one or into a bundle")
    told = Copied(str(start), str(end), ())
    if end.kind == "home":
        if ends.home(end, builder) == builder.home:
            builder.must_write("what is copied into it")
        ends.home(end, builder).make()
    with tempfile.TemporaryDirectory(prefix="coopery-copy-") if packages else nullcontext("") as packed:
        if start.kind == "bundle":
            return _from_bundle(builder, start, end, told, expected)
        wanted = Wanted(tuple(refs), since)
        with ends.records(start, builder) as cache:
            if start.kind == "store" or end.kind == "store":
                cargo = _records_of(cache, wanted)
                return (_records if end.kind != "bundle" else _deliver)(builder, end, cargo, told)
            home = ends.home(start, builder)
            with use.working(home.root):
                cargo = _loaded(builder, start, cache, wanted, Path(packed) if packages else None)
                return _deliver(builder, end, cargo, told)


def _records_of(cache: Cache, wanted: Wanted) -> Cargo:
    """What a store has of *wanted*: resolutions, and every placement of their images."""
    found = histories.read(cache, wanted)
    return Cargo((*found, *histories.placements(cache, found)))


def _loaded(builder: Builder, start: End, cache: Cache, wanted: Wanted, packed: Path | None) -> Cargo:
    """What a cache folder has of *wanted*: with the images that are in it, and without places of that machine alone."""
    home = ends.home(start, builder)
    found = histories.read(cache, wanted)
    known = tuple(histories.resolutions(found))
    images, parts = load.images(home, known)
    if packed is not None:
        parts = (*parts, *load.packages(home, known, builder.plugins_loaded.shelves(), packed))
    registries = (one for one in histories.placements(cache, found) if "@registry:" in one[-1].name)
    return Cargo((*found, *registries), images, unique(parts))


def _deliver(builder: Builder, end: End, cargo: Cargo, told: Copied) -> Copied:
    if end.kind == "home":
        return _land(builder, end, cargo, told)
    assert end.path is not None  # noqa: S101 - a bundle's end has one: see `ends.parse`
    if end.path.is_dir():
        raise UsageError(f"{end.path}: a bundle is one file, and this is a folder")
    recorded = manifest.parts_of(record for one in cargo.histories for record in one)
    whole = evolve(cargo, parts=unique((*cargo.parts, *recorded.values())))
    digest = pack(whole, end.path)
    return evolve(
        told,
        keys=histories.keys(cargo.histories),
        records=len(recorded),
        images=_listed(cargo),
        images_missing=_missing(cargo),
        parts=len(cargo.parts),
        size=end.path.stat().st_size,
        bundle=digest,
    )


def _expected(start: End, text: str) -> Digest | None:
    """The digest that a bundle must have; None where none was named."""
    if not text:
        return None
    if start.kind != "bundle":
        raise UsageError("a digest is that of a bundle, and nothing else that is copied has one")
    try:
        return _digest.parse(text if ":" in text else f"sha256:{text}")
    except ValueError as exc:
        raise UsageError(f"{text[:80]!r}: no digest of a bundle: {exc}", remedy="as the copy printed it") from exc


def _from_bundle(builder: Builder, start: End, end: End, told: Copied, expected: Digest | None) -> Copied:
    assert start.path is not None  # noqa: S101 - as above
    if not start.path.is_file():
        raise NotFound(f"{start.path}: no such bundle")
    if end.kind == "bundle":
        raise UsageError("a bundle is copied by cp", remedy="name a cache folder or a store to take it into")
    if end.kind == "store":
        with tempfile.TemporaryDirectory(prefix="coopery-copy-") as folder:
            here = Path(folder)
            cargo, read = unpack(start.path, here, lambda part: not part.name.startswith(RECORDS), expected)
            return evolve(_records(builder, end, cargo, told), bundle=read)
    return _land(builder, end, start.path, told, expected)


def _land(builder: Builder, end: End, what: Cargo | Path, told: Copied, expected: Digest | None = None) -> Copied:
    """Put cargo, or the bundle at a path, into the cache folder *end*."""
    home = ends.home(end, builder)

    def shelves() -> Iterable[Shelf]:
        return builder.plugins_loaded.shelves()

    with use.working(home.root), scratch(home.staging, "copy") as folder, ends.records(end, builder) as cache:
        dock = Dock(home, cache, shelves, folder)
        cargo, read = unpack(what, folder, dock.here, expected) if isinstance(what, Path) else (what, None)
        landed = dock.land(cargo)
    return evolve(_landed(told, cargo, landed), bundle=read)


def _landed(told: Copied, cargo: Cargo, landed: Landed) -> Copied:
    return evolve(
        _merged(told, cargo.histories, landed.merged),
        images=landed.images,
        images_missing=_missing(cargo),
        parts=landed.blobs,
        parts_present=landed.present,
        size=landed.size,
        skipped=landed.skipped,
    )


def _records(builder: Builder, end: End, cargo: Cargo, told: Copied) -> Copied:
    with ends.records(end, builder) as cache:
        merged = histories.merge(cache, cargo.histories)
    return _merged(told, cargo.histories, merged)


def _merged(told: Copied, found: Sequence[History], merged: Merged) -> Copied:
    return evolve(
        told,
        keys=histories.keys(found),
        records=merged.written,
        records_present=merged.present,
        conflicts=merged.conflicts,
    )


def _listed(cargo: Cargo) -> tuple[Digest, ...]:
    return tuple(image.image for image in cargo.images if image.listed)


def _missing(cargo: Cargo) -> tuple[Digest, ...]:
    here = set(_listed(cargo))
    return tuple(sorted({known.image for known in histories.resolutions(cargo.histories)} - here))
