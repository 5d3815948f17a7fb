"""Finding out what is known of each side of a comparison: from files, records, layouts, archives and registries."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from coopery import key as _key
from coopery.compare.side import ImageSeen, Side, locked, told
from coopery.errors import BaseError, NotFound, UsageError
from coopery.oci.config import platform_of
from coopery.platform import DEFAULT
from coopery.seal import seal

if TYPE_CHECKING:
    from coopery.blobs import BlobStore
    from coopery.build import Builder
    from coopery.definition import Environment
    from coopery.digest import Digest
    from coopery.home import Home
    from coopery.image import Assembled
    from coopery.ledger import Details
    from coopery.lock import Lock

_IMAGE: Final = re.compile(r"(oci|oci-archive|docker-archive):([^:]+)(?::(.+))?")
_REGISTRY: Final = re.compile(r"(?:docker|registry)://(.+)")


def is_image(text: str) -> bool:
    """Whether *text* is the reference of an image, by its form."""
    return _IMAGE.fullmatch(text) is not None or _REGISTRY.fullmatch(text) is not None


def read(
    builder: Builder, first: Environment | str | Path, second: Environment | str | Path, platform: str
) -> tuple[Side, Side]:
    """Both sides. A lock file for several platforms is read for *platform*, else for that of the other side.

    Raises:
        NotFound, UsageError, DefinitionError: a side that is not there, or cannot be understood.
    """
    wanted = platform or _platform_of(first) or _platform_of(second)
    return _side(builder, first, wanted), _side(builder, second, wanted)


def _platform_of(ref: Environment | str | Path) -> str:
    return "" if isinstance(ref, (str, Path)) else ref.target.platform


def _side(builder: Builder, ref: Environment | str | Path, platform: str) -> Side:
    if isinstance(ref, Path):
        return _of_lock_file(ref, platform)
    if not isinstance(ref, str):
        return _of_definition(builder, ref)
    if is_image(ref):
        return _of_image(builder, ref, platform)
    found = builder.details(ref)
    return _of_record(builder, found, f"key {found.key[:16]}")


def _of_lock_file(path: Path, platform: str) -> Side:
    from coopery.collect.operations import locks_in

    locks = {lock.platform: lock for lock in locks_in(path)}
    chosen = locks.get(platform) or locks.get(DEFAULT) or next(iter(locks.values()), None)
    if chosen is None or (platform and chosen.platform != platform):
        raise NotFound(f"{path}: no packages for {platform or 'any platform'}", remedy=f"it has {', '.join(locks)}")
    return Side(str(path), "lock file", base=chosen.base, packages=locked(chosen))


def _of_definition(builder: Builder, environment: Environment) -> Side:
    """What its record says, else its lock file, else its key alone."""
    from attrs import evolve

    sealed = seal(environment)
    what = environment.file.name if environment.file is not None else environment.name or "definition"
    side = Side(what, "definition", _key.compute(sealed), _key.identity(sealed))
    with suppress(NotFound):
        known = _of_record(builder, builder.details(environment), what)
        return evolve(side, base=known.base, packages=known.packages, image=known.image)
    lock = _lock_beside(environment)
    return side if lock is None else evolve(side, base=lock.base, packages=locked(lock))


def _lock_beside(environment: Environment) -> Lock | None:
    from coopery import lockfile
    from coopery.collect.operations import locks_in

    path = lockfile.beside(environment)
    if path is None or not path.is_file():
        return None
    return next((lock for lock in locks_in(path) if lock.platform == environment.target.platform), None)


def _of_record(builder: Builder, found: Details, what: str) -> Side:
    known = builder.ledger.newest(found.key)
    image = None
    if found.exists and found.image.place == f"oci:{builder.home.images}":
        assembled = in_home(builder.home, found.image.digest)
        image = ImageSeen.of(assembled, found.image.platform)
    return Side(
        what,
        "key",
        found.key,
        dict(known.identity) if known is not None else None,
        base=known.base if known is not None else None,
        packages=locked(found.lock) if found.lock is not None else None,
        image=image,
    )


def in_home(home: Home, manifest: Digest) -> Assembled:
    """The image with *manifest* in the layout of *home*: documents verified, layers not looked at, nothing marked."""
    from coopery.oci.descriptor import Descriptor
    from coopery.oci.load import load
    from coopery.oci.media import MANIFEST
    from coopery.oci.source import StoreSource

    size = home.blobs.path(manifest).stat().st_size
    return load(StoreSource(home.blobs, str(home.images)), Descriptor(MANIFEST, manifest, size))


def _of_image(builder: Builder, ref: str, platform: str) -> Side:
    if remote := _REGISTRY.fullmatch(ref):
        image = _in_registry(builder, remote[1], platform or DEFAULT)
    else:
        matched = _IMAGE.fullmatch(ref)
        if matched is None:
            raise UsageError(f"{ref!r}: no reference of an image")
        image = _in_file(builder, matched[1], Path(matched[2]), matched[3] or "", platform)
    seen = ImageSeen.of(image, platform_of(image.document))
    for details in builder.list():  # an image of ours, wherever it is: its record knows the hashes of its packages
        if details.image.id == seen.id and details.lock is not None:
            return Side(ref, "image", base=details.lock.base, packages=locked(details.lock), image=seen)
    return Side(ref, "image", packages=told(seen.layers), image=seen)


def _in_registry(builder: Builder, text: str, platform: str) -> Assembled:
    from coopery.oci.load import load
    from coopery.registry.connected import connected
    from coopery.registry.reference import parse

    reference = parse(text)
    with connected(reference, builder.settings, builder.emit) as registry:
        return load(registry.source(), registry.resolve(reference.digest or reference.tag, platform))


def _in_file(builder: Builder, transport: str, path: Path, tag: str, platform: str) -> Assembled:
    if not path.exists():
        raise NotFound(f"{path}: nothing is there")
    if transport == "oci":
        from coopery.oci.archive import look_into_layout

        return look_into_layout(path, tag, platform)
    from coopery.oci.archive import read_archive

    with _scratch(builder) as blobs:  # its layers are read through once, to know what they are
        try:
            return read_archive(path, tag, platform or DEFAULT, blobs)[1]
        except BaseError as exc:
            raise UsageError(exc.message, remedy=exc.remedy or "name another with --platform") from exc


@contextmanager
def _scratch(builder: Builder) -> Iterator[BlobStore]:
    from coopery.blobs import BlobStore

    builder.home.make()
    with tempfile.TemporaryDirectory(prefix="diff-", dir=builder.home.staging) as folder:
        yield BlobStore(Path(folder, "blobs"), Path(folder, "staging"))
