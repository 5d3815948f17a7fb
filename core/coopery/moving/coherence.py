"""Whether cargo is one whole: its images what their manifests say, its blobs theirs, its records about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from coopery import digest as _digest
from coopery.digest import Digest
from coopery.errors import BaseError, IntegrityError
from coopery.moving import histories
from coopery.moving.cargo import BLOBS, Cargo, Carried, Part
from coopery.oci.compression import Readable
from coopery.oci.descriptor import Descriptor
from coopery.oci.load import load
from coopery.oci.source import open_regular

if TYPE_CHECKING:
    from coopery.home import Home
    from coopery.image import Assembled


def looked_at(cargo: Cargo, home: Home, staged: Mapping[str, Part]) -> dict[Digest, Assembled]:
    """The images in *cargo*, by their manifests; all documents read and compared.

    Args:
        cargo: everything that came.
        home: has the blobs that were there already.
        staged: parts with a file have theirs.

    Raises:
        IntegrityError: something is missing, too much, or says two things.
    """
    source = _Staged(home, staged)
    try:
        images = {image.manifest: load(source, _descriptor(image)) for image in cargo.images}
    except BaseError as exc:
        raise IntegrityError(exc.message) from exc
    _check_whole(cargo, images)
    return images


class _Staged:
    """A source of blobs: what has just come, then what is here."""

    def __init__(self, home: Home, staged: Mapping[str, Part]) -> None:
        self._home = home
        self._staged = staged
        self.name = "what was copied"

    @contextmanager
    def open(self, digest: Digest) -> Iterator[Readable]:
        """As `coopery.oci.source.Source.open`."""
        part = self._staged.get(f"{BLOBS}{_digest.hex_of(digest)}")
        if part is None:
            raise BaseError(f"blob {digest} is named, and did not come")
        path = part.content if isinstance(part.content, Path) else self._home.blobs.path(digest)
        with open_regular(path) as file:
            yield file


def _check_whole(cargo: Cargo, images: dict[Digest, Assembled]) -> None:
    """See that the blobs are exactly those of the images, and the images those of the records.

    Raises:
        IntegrityError: something is missing, too much, or says two things.
    """
    needed: dict[Digest, int] = {}
    for carried in cargo.images:
        image = images[carried.manifest]
        if image.image_id != carried.image:
            raise IntegrityError(f"manifest {carried.manifest} is of image {image.image_id}, not of {carried.image}")
        needed |= {carried.manifest: carried.size, image.image_id: len(image.config)}
        needed |= {layer.digest: layer.size for layer in image.layers}
    came = {part.digest: part.size for part in cargo.parts if part.name.startswith(BLOBS)}
    if came != needed:
        odd = sorted(f"{digest}" for digest, _ in came.items() ^ needed.items())
        raise IntegrityError(f"blobs and images do not go together: {', '.join(odd[:3])}")
    known = list(histories.resolutions(cargo.histories))
    named = {one.image for one in known} | {image.image for image in cargo.images if not image.listed}
    if strangers := sorted({image.image for image in cargo.images} - named):
        raise IntegrityError(f"image {strangers[0]} came without a record that names it")
    bases = {one.base for one in known}
    if any(not image.listed and image.manifest not in bases for image in cargo.images):
        raise IntegrityError("an image came that is neither listed nor the base of one")


def _descriptor(image: Carried) -> Descriptor:
    return Descriptor(image.media_type, image.manifest, image.size, image.platform)
