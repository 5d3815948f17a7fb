"""Building beside a cache folder that can only be read: what it has is used, what is new goes into another folder.

That folder (`coopery.home.Home.beside`) begins as a view of the one that cannot be written: links to its blobs,
packages and indexes, so that nothing is fetched or cut twice. It is the same for every process of this user, and goes
when the folder for temporary files is emptied; nothing else knows of it. An image from it says ``cached=False``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import evolve

from coopery.blobs import disk_error
from coopery.collect.census import BLOBS, SHELVES
from coopery.events import Warned

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.building.order import Order
    from coopery.home import Home
    from coopery.image import Image
    from coopery.shelf import Shelf

_NOTES: Final = "images"
"""Folder whose own folders, but for the blobs, hold what was found out about layers."""


def beside(builder: Builder) -> Builder:
    """A builder on the folder beside that of *builder*. It writes no record anywhere else, and holds nobody up.

    Raises:
        CacheError: the folder cannot be made, or somebody else has made it.
    """
    from coopery.build import Builder
    from coopery.stores.layered import Layered
    from coopery.stores.readonly import ReadOnly
    from coopery.stores.sqlite import SqliteCache

    def notice(message: str) -> None:
        builder.emit(Warned(message=message))

    home = builder.home.beside
    home.make()
    view(builder.home, home, builder.plugins_loaded.shelves())
    own = SqliteCache.from_url("sqlite:", home.root, notice)
    return Builder(
        cache=Layered(own, ReadOnly(builder.cache), notice=notice),
        backend=builder.backend_name if builder.named else None,
        settings=evolve(builder.settings, home=home.root, leases=""),
        on_event=builder.emit,
        plugins=builder.plugins_loaded,
        secrets=builder.secrets,
        step_seconds=builder.step_seconds,
    )


def fulfil(builder: Builder, order: Order) -> Image:
    """The image of *order*, built beside the cache folder of *builder*, or found there.

    Raises:
        BuildError, CacheError: as `coopery.build.Builder.build`.
    """
    image = builder.aside.fulfil(order)
    where = builder.aside.home.root
    message = f"{builder.home.root} cannot be written: the image is kept in {where}, until that is removed"
    builder.emit(Warned(key=order.key, message=message))
    return evolve(image, cached=False)


def view(source: Home, target: Home, shelves: Iterable[Shelf]) -> None:
    """Have *target* see what *source* has and it has not: blobs, notes about them, and entries of shelves.

    Raises:
        StoreFull, CacheError: the disk refused.
    """
    kept = [shelf for shelf in (*SHELVES, *shelves) if not (shelf.own or shelf.locked or shelf.passing)]
    folders: dict[str, Shelf | None] = dict.fromkeys((BLOBS, *_notes(source.root)))
    folders |= {shelf.folder: shelf for shelf in kept if shelf.kind != "logs"}
    try:
        for folder, shelf in folders.items():
            _link(source.root / folder, target.root / folder, shelf)
    except OSError as exc:
        raise disk_error(exc) from exc


def _notes(root: Path) -> Iterator[str]:
    with suppress(FileNotFoundError, NotADirectoryError):
        for name in sorted(os.listdir(root / _NOTES)):
            if name != "blobs" and (root / _NOTES / name).is_dir():
                yield f"{_NOTES}/{name}"


def _link(source: Path, target: Path, shelf: Shelf | None) -> None:
    """A link in *target* to each entry of *source* that it has not got: what is *shelf*'s; None: everything."""
    if not source.is_dir():
        return
    target.mkdir(parents=True, exist_ok=True)
    for name in sorted(set(os.listdir(source)) - set(os.listdir(target))):
        if shelf is None or shelf.owns(name):
            with suppress(FileExistsError):  # another process was faster
                os.symlink(source / name, target / name)
