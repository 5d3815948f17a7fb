"""Put the channel together."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

from channel import accelerator, index, wheels
from channel.contents import Contents, Subdir
from channel.debian_parts import Debian, libraries, python
from channel.package import Recipe, write


def make(contents: Contents, channel: Path, downloads: Path) -> int:
    """Write a new channel into the empty folder *channel*; returns how many packages it has."""
    downloads.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="work-", dir=downloads))
    try:
        with ThreadPoolExecutor(2) as pool:
            made: Iterator[tuple[Recipe, Path]] = chain.from_iterable(pool.map(list, _parts(contents, downloads, work)))
            records = list(pool.map(lambda one: write(one[0], one[1], channel), made))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    index.write(channel, [*(subdir.name for subdir in contents.subdirs), "noarch"], records)
    return len(records)


def _parts(contents: Contents, downloads: Path, work: Path) -> list[Iterator[tuple[Recipe, Path]]]:
    return [_from_debian(contents, downloads, work), _from_wheels(contents, downloads, work)]


def _from_debian(contents: Contents, downloads: Path, work: Path) -> Iterator[tuple[Recipe, Path]]:
    debian = Debian(contents.suite, downloads)
    for subdir in contents.subdirs:
        yield python(debian, contents, subdir, work)
        yield from libraries(debian, contents, subdir, work)
        yield from accelerator.variants(subdir.name, work)


def _from_wheels(contents: Contents, downloads: Path, work: Path) -> Iterator[tuple[Recipe, Path]]:
    for subdir in contents.subdirs:
        if subdir.wheels:
            yield from _converted(contents, subdir, downloads, work)


def _converted(contents: Contents, subdir: Subdir, downloads: Path, work: Path) -> Iterator[tuple[Recipe, Path]]:
    for wheel in wheels.download(contents, subdir, downloads / "wheels" / subdir.name):
        yield wheels.convert(wheel, contents, subdir, work)
