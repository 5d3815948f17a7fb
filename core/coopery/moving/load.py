"""What a cache folder has of the images and packages that records name. Reads only; marks what it finds as used."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from coopery import use
from coopery.digest import Digest
from coopery.errors import BaseError, IntegrityError
from coopery.image import Assembled
from coopery.moving.cargo import FILES, TREES, Carried, Part, blob_part, file_part
from coopery.oci import document, media
from coopery.oci.config import platform_of
from coopery.oci.descriptor import Descriptor
from coopery.oci.layout import Layout
from coopery.oci.load import load
from coopery.oci.source import StoreSource

if TYPE_CHECKING:
    from coopery.home import Home
    from coopery.records import Resolution
    from coopery.shelf import Shelf

_SNAPSHOTS: Final = "snapshots"


def images(home: Home, known: Iterable[Resolution]) -> tuple[tuple[Carried, ...], tuple[Part, ...]]:
    """The images of *known* that the layout of *home* has, their bases where those are here, and all their blobs.

    Raises:
        IntegrityError: a document of one is damaged, or a layer has another size.
    """
    layout = Layout(home.images, home.staging)
    listed: dict[Digest, list[Descriptor]] = {}
    for entry in layout.entries():
        listed.setdefault(entry.digest, []).append(entry)
    whole = {digest: _open(layout, entries[0]) for digest, entries in listed.items()}
    wanted = {one.image for one in known}
    carried: dict[Digest, Carried] = {}
    parts: list[Part] = []
    for digest, image in whole.items():
        if image is not None and image.image_id in wanted:
            tags = sorted({tag for entry in listed[digest] if (tag := entry.annotation(media.REF_NAME))})
            carried[digest] = _carried(listed[digest][0], image, tuple(tags))
            parts += _blobs(home, carried[digest], image)
    for base in sorted({one.base for one in known if one.image in {image.image for image in carried.values()}}):
        found = _base(home, base) if base not in carried else None
        if found is not None:
            carried[base] = found[0]
            parts += _blobs(home, *found)
    return tuple(carried[digest] for digest in sorted(carried)), tuple(parts)


def packages(home: Home, known: Iterable[Resolution], shelves: Iterable[Shelf], packed: Path) -> tuple[Part, ...]:
    """What was fetched of the packages in the locks of *known*, and the snapshots that they were put upon.

    Args:
        home: the cache folder.
        known: what is moved.
        shelves: folders of plugins.
        packed: an empty folder, for the tars of those that are kept as folders.
    """
    from coopery.moving.trees import pack

    known = tuple(known)
    parts: list[Part] = []
    for one in known:
        snapshot = home.root / _SNAPSHOTS / f"{one.snapshot}.json"
        if snapshot.is_file():
            parts.append(file_part(f"{FILES}{_SNAPSHOTS}/{snapshot.name}", snapshot))
    missing = {artifact.sha256 for one in known if one.lock is not None for artifact in one.lock.artifacts}
    for shelf in shelves:
        if shelf.needed_by != "artifact" or not shelf.fetched:
            continue
        for stem, path in _entries(home.root / shelf.folder, missing):
            use.mark(path, home.staging)
            if path.is_dir():
                made = packed / f"{len(parts)}.tar"
                pack(path, made)
                parts.append(file_part(f"{TREES}{shelf.folder}/{path.name}.tar", made))
            else:
                parts.append(file_part(f"{FILES}{shelf.folder}/{path.name}", path))
            missing.discard(stem)  # one form of a package is enough: the others are made from it
    return tuple(parts)


def _entries(folder: Path, wanted: set[str]) -> Iterator[tuple[str, Path]]:
    """Of each wanted package in *folder* the thing itself: of names that begin with its hash, the shortest."""
    found: dict[str, str] = {}
    for name in sorted(os.listdir(folder) if folder.is_dir() else ()):
        stem = name.partition(".")[0]
        if stem in wanted and not (folder / name).is_symlink():
            found[stem] = min(found.get(stem, name), name, key=lambda one: (len(one), one))
    yield from ((stem, folder / found[stem]) for stem in sorted(found))


def _open(layout: Layout, entry: Descriptor) -> Assembled | None:
    """The image that *entry* lists; None for what is none that we understand, or not all here."""
    try:
        return load(StoreSource(layout.blobs, str(layout.root)), entry) if entry.media_type in media.MANIFESTS else None
    except (BaseError, IntegrityError):
        return None


def _base(home: Home, digest: Digest) -> tuple[Carried, Assembled] | None:
    """The base with that manifest, where all of it is here; most bases that are no registry's have none."""
    try:
        data = home.blobs.read(digest, document.MAX_BYTES)
        kind = document.parse(data, digest).get("mediaType", media.MANIFEST)
        entry = Descriptor(str(kind), digest, len(data))
        image = load(StoreSource(home.blobs, str(home.images)), entry)
    except (OSError, BaseError, IntegrityError):
        return None
    if any(home.blobs.size(layer.digest) != layer.size for layer in image.layers):
        return None
    return _carried(entry, image, (), listed=False), image


def _carried(entry: Descriptor, image: Assembled, tags: tuple[str, ...], *, listed: bool = True) -> Carried:
    return Carried(
        entry.digest, entry.media_type, entry.size, image.image_id, platform_of(image.document), tags, listed
    )


def _blobs(home: Home, carried: Carried, image: Assembled) -> Iterator[Part]:
    """The blobs of *image*: its documents, then its layers.

    Raises:
        IntegrityError: one is not here, or has another size.
    """
    stated = {carried.manifest: carried.size, image.image_id: len(image.config)}
    stated |= {layer.digest: layer.size for layer in image.layers}
    for digest, size in stated.items():
        if (found := home.blobs.size(digest)) != size:
            raise IntegrityError(
                f"{home.images}: blob {digest} has {found} bytes, expected {size}",
                remedy="build its definition again, or leave it out",
            )
        yield blob_part(digest, size, home.blobs.path(digest))
