"""How layers get into a Docker daemon: one ``load`` of an archive that holds only what the daemon lacks.

``docker build`` would run conda inside a container and commit; a load registers finished layers. It is also the one
way in for which the daemon computes nothing of its own: the image id is our config's digest, on every daemon.

A daemon that lacks a layer that was left out says so, and gets the whole. What is not there in the end is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from coopery.errors import BackendError, IntegrityError
from coopery.events import Warned
from coopery.oci.manifest import make_manifest
from coopery.oci.verified import copy
from coopery_docker import archive, held
from coopery_docker.answers import Refused
from coopery_docker.endpoint import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from coopery.backend import Workshop
    from coopery.digest import Digest
    from coopery.image import Assembled
    from coopery_docker.client import Daemon

REPOSITORY: Final = "coopery"


def put(workshop: Workshop, daemon: Daemon, image: Assembled, reference: str) -> Digest:
    """Have *daemon* keep *image* as *reference* (``repository:tag``).

    Returns:
        What the daemon knows it by: the config's digest, or the manifest's in containerd's store.

    Raises:
        BackendError: it did not take it.
        IntegrityError: a layer is damaged here.
    """
    name = _name_of(workshop, daemon, image)
    if daemon.image(name) is not None and _tagged(daemon, name, reference):
        return name
    thin, whole = _archives(workshop, daemon, image, reference)
    try:
        if thin is not None:
            _load_thin(workshop, daemon, thin, whole)
        else:
            daemon.load(whole)
    except Refused:
        _find_damage(workshop, image)
        raise
    if daemon.image(name) is None:
        raise BackendError(NAME, f"image {name} was loaded, and the daemon does not have it")
    return name


def _tagged(daemon: Daemon, name: Digest, reference: str) -> bool:
    """Give the image one name more; False where somebody has taken it away in this moment."""
    repository, _, tag = reference.rpartition(":")
    try:
        daemon.tag(name, repository, tag)
    except Refused:
        if daemon.image(name) is not None:
            raise
        return False
    return True


def _name_of(workshop: Workshop, daemon: Daemon, image: Assembled) -> Digest:
    """The image's name there. Its document is kept among our blobs: it says later what that daemon has."""
    return workshop.blobs.put(make_manifest(image) if daemon.by_manifest else image.config)


def _archives(
    workshop: Workshop, daemon: Daemon, image: Assembled, reference: str
) -> tuple[Iterator[bytes] | None, Iterator[bytes]]:
    """What to send: without what the daemon has, if it has any of it; and whole."""
    blobs = workshop.blobs
    if daemon.by_manifest:
        there = held.held_blobs(daemon, blobs, image.layers)
        whole = archive.layout(image, blobs, reference)
        return (archive.layout(image, blobs, reference, there) if there else None), whole
    count = held.chain(daemon, blobs, image)
    whole = archive.classic(image, blobs, reference)
    return (archive.classic(image, blobs, reference, count) if count else None), whole


def _load_thin(workshop: Workshop, daemon: Daemon, thin: Iterator[bytes], whole: Iterator[bytes]) -> None:
    try:
        daemon.load(thin)
    except Refused as exc:
        workshop.emit(Warned(message=f"the daemon did not take the layers that it lacks; all are sent ({exc.message})"))
        daemon.load(whole)


def _find_damage(workshop: Workshop, image: Assembled) -> None:
    """See whether it was our blobs that the daemon would not take.

    Raises:
        IntegrityError: one is missing or damaged.
    """
    for layer in image.layers:
        try:
            copy(workshop.blobs.path(layer.digest), layer.digest, len)
        except IntegrityError as exc:
            exc.remedy = exc.remedy or f"remove {workshop.blobs.path(layer.digest)}; it is fetched or made again"
            raise


def size_of(image: Assembled) -> int:
    """Bytes of *image*, as it is kept."""
    return len(image.config) + sum(layer.size for layer in image.layers)
