"""What a builder does with its cache folder as a whole: `disk`, `gc`, and pins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from coopery.collect import pins as _pins
from coopery.collect.collection import GRACE, Collected, collect
from coopery.collect.pins import Pin
from coopery.collect.policy import Limits
from coopery.collect.survey import survey
from coopery.collect.usage import Usage, usage
from coopery.digest import short
from coopery.errors import NotFound

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.definition import Environment
    from coopery.lock import Lock


def disk(builder: Builder) -> Usage:
    """See `coopery.build.Builder.disk`."""
    seen = survey(builder.home, builder.cache, builder.plugins_loaded.shelves())
    return usage(seen, str(builder.home.root))


def gc(builder: Builder, limits: Limits, *, dry_run: bool, grace: float = GRACE) -> Collected:
    """See `coopery.build.Builder.gc`."""
    home = builder.home
    shelves = builder.plugins_loaded.shelves()
    return collect(home, builder.cache, f"oci:{home.images}", shelves, limits, dry_run=dry_run, grace=grace)


def pin(builder: Builder, ref: Environment | str | Path, name: str) -> Pin:
    """See `coopery.build.Builder.pin`."""
    made = _of_lock(ref, name) if isinstance(ref, Path) else _of_record(builder, ref, name)
    builder.home.make()
    return _pins.add(builder.home, made)


def _of_lock(path: Path, name: str) -> Pin:
    return Pin(name or path.stem, None, tuple(locks_in(path)), f"lock file {path.name}")


def locks_in(path: Path) -> tuple[Lock, ...]:
    """The locks in the lock file at *path*, one for each platform.

    Raises:
        LockFileError, UsageError: it is none, or cannot be read.
    """
    from coopery import lockfile

    return tuple(section.lock for section in lockfile.read(path).sections)


def _of_record(builder: Builder, ref: Environment | str, name: str) -> Pin:
    found = builder.details(ref)
    if not found.exists:
        raise NotFound(
            f"the image of key {found.key} is not here, so that it cannot be kept",
            remedy="build its definition again, or pin its lock file",
        )
    what = f"{found.name or 'image'} {short(found.image.id)} of key {found.key[:16]}, generation {found.generation}"
    return Pin(name or found.name or found.key[:16], found.image.id, (found.lock,) if found.lock else (), what)
