"""Cargo into a cache folder: checked as a whole first, then blobs, packages, the index, and records last.

What is found through records is put there last, so that a copy that is killed leaves nothing half-made to be found;
what arrived of it stays, and is not written again by the next copy.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from coopery import digest as _digest
from coopery import records
from coopery.blobs import disk_error
from coopery.digest import Digest
from coopery.errors import IntegrityError
from coopery.folders import adopt_folder
from coopery.layer import TAR, Layer
from coopery.moving import histories, manifest
from coopery.moving.cargo import BLOBS, FILES, TREES, Cargo, Carried, History, Part
from coopery.moving.coherence import looked_at
from coopery.moving.pack import telling
from coopery.moving.trees import unpack as unpack_tree
from coopery.oci import intake, media
from coopery.oci.index_file import IndexFile
from coopery.oci.layout import Layout
from coopery.oci.verified import copy
from coopery.records import Placement, Resolution
from coopery.whole import adopt_file

if TYPE_CHECKING:
    from coopery.cache import Cache
    from coopery.home import Home
    from coopery.shelf import Shelf

_SNAPSHOTS: Final = "snapshots/"


@frozen
class Landed:
    """What became of cargo.

    Attributes:
        merged: its records.
        images: ids of images that are now listed.
        blobs: blobs and packages that were written.
        present: those that were there.
        size: bytes that were written.
        skipped: names of packages that no installed plugin keeps.
    """

    merged: histories.Merged
    images: tuple[Digest, ...]
    blobs: int
    present: int
    size: int
    skipped: tuple[str, ...]


class Dock:
    """Where cargo lands.

    Args:
        home: the cache folder; made where it is not there.
        cache: its records.
        shelves: gives the folders of plugins; asked only where packages come.
        folder: an empty folder on the same disk, for what is not whole yet.
    """

    def __init__(self, home: Home, cache: Cache, shelves: Callable[[], Iterable[Shelf]], folder: Path) -> None:
        self._home = home
        self._cache = cache
        self._ask = shelves
        self._folder = folder

    @cached_property
    def _shelves(self) -> dict[str, Shelf]:
        return {shelf.folder: shelf for shelf in self._ask() if shelf.needed_by == "artifact"}

    def here(self, part: Part) -> bool:
        """Whether the bytes of *part* are where they belong already: blobs are hashed, packages looked at by name."""
        if part.name.startswith(BLOBS):
            if self._home.blobs.size(part.digest) != part.size:
                return False
            try:
                copy(self._home.blobs.path(part.digest), part.digest, lambda _piece: None)
            except IntegrityError:
                return False
            return True
        path = self._target(part)
        return path is not None and os.path.lexists(path)

    def land(self, cargo: Cargo) -> Landed:
        """Take all of *cargo*, or raise and leave nothing that could be found.

        Raises:
            IntegrityError: something in it is not what it says, or does not belong together.
            StoreFull, CacheError: the disk or the store refused.
        """
        staged = {part.name: self._staged(part, n) for n, part in enumerate(cargo.parts) if self._is_kept(part)}
        images = looked_at(cargo, self._home, staged)
        trees = self._unpacked(staged)
        written = [part for part in staged.values() if part.content is not None]
        self._put_blobs(staged)
        for image in images.values():
            self._note_diff_ids(image.layers)
        self._put_packages(staged, trees)
        listed = self._list(cargo)
        merged = histories.merge(self._cache, _resolutions(cargo.histories))
        there = histories.merge(self._cache, self._placements(cargo))
        known = sum(part.name.startswith((BLOBS, FILES, TREES)) for part in cargo.parts)
        return Landed(
            evolve(
                merged,
                written=merged.written + there.written,
                present=merged.present + there.present,
                conflicts=merged.conflicts + there.conflicts,
            ),
            listed,
            len(written),
            known - len(written) - len(self._foreign(cargo)),
            sum(part.size for part in written),
            self._foreign(cargo),
        )

    # --- parts ----------------------------------------------------------------------------------------

    def _is_kept(self, part: Part) -> bool:
        return part.name.startswith(BLOBS) or self._target(part) is not None

    def _foreign(self, cargo: Cargo) -> tuple[str, ...]:
        parts = (part for part in cargo.parts if part.name.startswith((FILES, TREES)))
        return tuple(part.name for part in parts if self._target(part) is None)

    def _staged(self, part: Part, number: int) -> Part:
        """*part* with its bytes, checked, in our own folder; without any where they are in their place."""
        if not isinstance(part.content, Path) or part.content.parent == self._folder:
            return part
        if self.here(part):
            return evolve(part, content=None)
        path = self._folder / f"part-{number}"
        try:
            with telling(part.content), path.open("xb", buffering=0) as file:
                copy(part.content, part.digest, file.write)
                os.fsync(file.fileno())
        except OSError as exc:
            raise disk_error(exc) from exc
        return evolve(part, content=path)

    def _target(self, part: Part) -> Path | None:
        """Where a package or snapshot goes; None for a blob, a record, and what no plugin here keeps.

        Raises:
            IntegrityError: a package's file that has not the hash that it is called by.
        """
        tree = part.name.startswith(TREES)
        if not tree and not part.name.startswith(FILES):
            return None
        name = part.name.removeprefix(TREES if tree else FILES).removesuffix(".tar" if tree else "")
        if not tree and name.startswith(_SNAPSHOTS) and name.count("/") == 1 and name.endswith(".json"):
            return self._home.root / name
        folder, _, base = name.rpartition("/")
        shelf = self._shelves.get(folder)
        if shelf is None or not shelf.owns(base):
            return None
        if not tree and base.partition(".")[0] != _digest.hex_of(part.digest):
            raise IntegrityError(f"{part.name}: its bytes have the digest {part.digest}")
        return self._home.root / folder / base

    def _unpacked(self, staged: dict[str, Part]) -> dict[str, Path]:
        """Packages that are kept as folders, each unpacked beside its tar."""
        made = {}
        for number, (name, part) in enumerate(staged.items()):
            if name.startswith(TREES) and isinstance(part.content, Path):
                made[name] = self._folder / f"tree-{number}"
                unpack_tree(part.content, part.digest, part.size, made[name], self._home.staging)
        return made

    def _put_blobs(self, staged: dict[str, Part]) -> None:
        for name, part in staged.items():
            if name.startswith(BLOBS) and isinstance(part.content, Path):
                self._home.blobs.adopt(part.content, part.digest)

    def _put_packages(self, staged: dict[str, Part], trees: dict[str, Path]) -> None:
        for name, part in staged.items():
            target = self._target(part)
            if target is None or part.content is None or target.exists():
                continue
            if name in trees:
                adopt_folder(trees[name], target)
            elif isinstance(part.content, Path):
                adopt_file(part.content, target)

    def _note_diff_ids(self, layers: Iterable[Layer]) -> None:
        """Compressed layers, as bases have them, are inflated once, and known to be what the config says."""
        for layer in layers:
            if layer.media_type != TAR and not intake.known(layer, self._home.blobs):
                intake.inspect(layer, self._home.blobs)
                intake.remember(layer, self._home.blobs)

    # --- index and records ----------------------------------------------------------------------------

    def _list(self, cargo: Cargo) -> tuple[Digest, ...]:
        """List the images whose records will be taken. A tag that another image has stays that one's."""
        welcome = (one for one in cargo.histories if not histories.conflict(self._cache, one))
        accepted = {known.image for known in histories.resolutions(welcome)}
        new = [image for image in cargo.images if image.listed and image.image in accepted]
        layout = Layout(self._home.images, self._home.staging)
        if new:
            layout.init()
            with IndexFile(self._home.images / "index.json", self._home.staging).changed() as entries:
                for image in new:
                    _add_entries(entries, image)
        return tuple(image.image for image in new)

    def _placements(self, cargo: Cargo) -> Iterator[History]:
        """That each image that is listed here is here; and what was known of registries."""
        place = f"oci:{self._home.images}"
        by_image = {image.image: image for image in cargo.images if image.listed}
        layout = Layout(self._home.images, self._home.staging)
        tags = {entry.digest: entry.annotation(media.REF_NAME) for entry in layout.entries()}
        for known in _latest(cargo.histories):
            image = by_image.get(known.image)
            if image is None or image.manifest not in tags:
                continue
            size = image.size + sum(layer.size for layer in known.layers) + self._config_size(known.image)
            tag = tags[image.manifest] or image.manifest
            placed = Placement(place, image.manifest, size, f"oci:{self._home.images}:{tag}")
            old = self._cache.get("placement", records.placement_name(known.image, place))
            if records.placement(old) != placed:
                number = old.generation + 1 if old is not None else 1
                yield (records.placement_record(known.image, placed, number),)
        yield from (one for one in cargo.histories if _is_elsewhere(one))

    def _config_size(self, image: Digest) -> int:
        return self._home.blobs.size(image) or 0


def _add_entries(entries: list[dict[str, object]], image: Carried) -> None:
    names = {_tag(entry) for entry in entries if entry.get("digest") != image.manifest}
    own = {_tag(entry) for entry in entries if entry.get("digest") == image.manifest}
    free = tuple(tag for tag in image.tags if tag not in names)
    tags = free or (f"{_digest.short(image.image)}-copied",)
    for entry in manifest.entries(evolve(image, tags=tags)):
        if _tag(entry) not in own:
            entries.append(entry)


def _tag(entry: dict[str, object]) -> str:
    annotations = entry.get("annotations")
    return str(annotations.get(media.REF_NAME, "")) if isinstance(annotations, dict) else ""


def _resolutions(found: Iterable[History]) -> list[History]:
    return [one for one in found if one[-1].kind == "resolution"]


def _latest(found: Iterable[History]) -> Iterator[Resolution]:
    """Each image once, by the newest record that names it."""
    yield from {known.image: known for known in histories.resolutions(found)}.values()


def _is_elsewhere(one: History) -> bool:
    """A placement that holds on every machine: in a registry."""
    place = one[-1].name.partition("@")[2]
    return one[-1].kind == "placement" and place.startswith("registry:")
