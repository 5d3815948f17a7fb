"""The base source `debian`: a suite and package names become a base image, with no root, daemon, chroot or script."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Final

from coopery import platform as _platform
from coopery.backend import Workshop
from coopery.blobs import BlobStore
from coopery.definition import DebianBase
from coopery.errors import BaseError
from coopery.events import Progress
from coopery.image import Assembled
from coopery.layer import Layer
from coopery.sealed import SealedBase
from coopery.shelf import Shelf
from coopery_debian.apt import APT
from coopery_debian.archive import Archive
from coopery_debian.closure import Request, closure, requests
from coopery_debian.image import config
from coopery_debian.memo import Memo
from coopery_debian.mirror import KEYRING, choose
from coopery_debian.packing import RECIPE, Packing, layer_from_json, layer_to_json
from coopery_debian.release import Listed

_ARCHITECTURES: Final = {
    "linux/amd64": "amd64",
    "linux/arm64": "arm64",
    "linux/ppc64le": "ppc64el",
    "linux/s390x": "s390x",
    "linux/riscv64": "riscv64",
}
"""Image platform → Debian's name of the architecture."""


class DebianSource:
    """Answers for ``base: {debian: {suite: bookworm, packages: [libc6]}}``.

    What is fetched stays below ``debian/`` in the cache folder: files by sha256 in ``files``, and in ``memo`` which
    layers were cut from them. When the suite has not changed, one conditional request is all that is asked.

    Args:
        workshop: what core lends.
        apt: the folder of apt's configuration.
        keyring: keys to trust where apt's entry for the mirror names none.
    """

    name: ClassVar[str] = "debian"
    shelves: ClassVar[tuple[Shelf, ...]] = (
        Shelf("debian/files/sha256", "Debian packages", fetched=True),
        Shelf("debian/memo", "indexes"),
    )

    def __init__(self, workshop: Workshop, *, apt: Path = APT, keyring: Path = KEYRING) -> None:
        self._workshop = workshop
        self._apt, self._keyring = apt, keyring
        root = workshop.home / "debian"
        self._files = BlobStore(root / "files", workshop.staging)
        self._memo = Memo(root / "memo", workshop.staging)

    def fetch(self, base: SealedBase, platform: str) -> Assembled:
        """Fetch, verify and unpack *base* for *platform*.

        Raises:
            BaseError: no mirror, no gpgv or keyring, a signature or hash that is wrong, unknown packages, versions
                that the mirror dropped, packages that clash, or a platform that the suite does not have.
            CacheError: the disk refused.
        """
        debian = base.base
        if not isinstance(debian, DebianBase):
            raise BaseError(f"the source of Debian bases was given another base: {debian}")
        architecture = _ARCHITECTURES.get(platform)
        if architecture is None:
            raise BaseError(f"Debian has no architecture for {platform}", remedy=f"it has {', '.join(_ARCHITECTURES)}")
        wanted = requests(debian.packages)
        archive = self._archive(debian)
        self._workshop.emit(Progress(stage="base", unit="packages", item=f"Debian {debian.suite}"))
        release = archive.release()
        listed = archive.listed(release, debian.components, architecture)
        name = _name(wanted, listed, architecture)
        known = self._known(self._memo.get(*name))
        if known is not None:
            return known
        packages = closure(archive.index(release, listed), wanted)
        layers = Packing(self._workshop, self._memo, archive).layers(packages, architecture)
        document = config(_platform.architecture(platform), [package.name for package in packages], layers)
        self._memo.put({"config": document.decode(), "layers": [layer_to_json(layer) for layer in layers]}, *name)
        return Assembled(document, layers)

    def _archive(self, debian: DebianBase) -> Archive:
        settings = self._workshop.settings
        mirror = choose(settings.debian_mirror, debian.suite, debian.components, self._apt)
        fetcher = mirror.fetcher(self._files, settings, self._workshop.emit)
        return Archive(mirror, debian.suite, fetcher, self._files, self._memo, self._workshop.emit, self._keyring)

    def _known(self, memo: Any) -> Assembled | None:
        """The same base from last time, if every layer of it is still here."""
        if not memo:
            return None
        layers: tuple[Layer, ...] = tuple(layer_from_json(layer) for layer in memo["layers"])
        if any(self._workshop.blobs.size(layer.digest) != layer.size for layer in layers):
            return None
        return Assembled(memo["config"].encode(), layers)


def _name(wanted: tuple[Request, ...], listed: tuple[Listed, ...], architecture: str) -> tuple[str, ...]:
    """All that the base depends on: the recipe, the request and the exact indexes."""
    return ("base", RECIPE, architecture, *map(str, wanted), "of", *(one.sha256 for one in listed))
