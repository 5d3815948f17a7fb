"""Images into registries: each layer compressed once and kept so, only missing blobs sent, the tag moved last.

For each blob: is it there? else mounted from another repository of the same host; else sent, several at once. A layer
that is compressed for the first time is looked for under the digest that it then has.
Source: OCI distribution spec v1.1, "Pushing blobs", "Pushing manifests".
"""

from __future__ import annotations

import io
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock
from typing import TYPE_CHECKING, Final, Literal

from coopery import aside, records
from coopery.backend import Placed
from coopery.blobs import BlobStore
from coopery.digest import Digest, short
from coopery.engines import elsewhere
from coopery.errors import BackendError, CacheError, IntegrityError, UsageError
from coopery.events import StageFinished, StageStarted, Warned
from coopery.image import Assembled
from coopery.oci import media, repositories
from coopery.oci.compressed import FOLDERS, compress, twin
from coopery.oci.compression import Readable
from coopery.oci.manifest import make_manifest
from coopery.oci.meter import Meter
from coopery.oci.parallel import Stop, each
from coopery.oci.source import open_regular
from coopery.place import Presence
from coopery.places.registry import RegistryPlace
from coopery.records import Placement
from coopery.reference import DEFAULT_REGISTRY
from coopery.registry.connected import connected
from coopery.registry.reference import Reference, parse

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.home import Home
    from coopery.image import Image
    from coopery.layer import Layer
    from coopery.oci.media import Compression
    from coopery.registry import Registry

Fate = Literal["there", "mounted", "sent"]
"""What became of a blob."""

_MOUNTS: Final = 2
"""Repositories to try to mount from before a blob is sent: each costs a round trip."""


def destination(to: str, default_tag: str = "") -> Reference:
    """Where *to* says that an image goes.

    Unlike what is pulled, it names its registry: nobody should publish on Docker Hub for want of a host.

    Raises:
        UsageError: no reference, one without a host, or one by digest.
    """
    reference = parse(to, default_tag)
    if reference.digest is not None:
        raise UsageError(f"{to!r}: a digest cannot be chosen", remedy=f"push to a tag: {reference.name}:TAG")
    bare = to.partition("://")[2] or to
    host, slash, _ = bare.partition("/")
    if reference.host == DEFAULT_REGISTRY and not (slash and "." in host):
        raise UsageError(f"{to!r}: no registry is named", remedy=f"write HOST/{bare}, or {reference} for Docker Hub")
    return reference


def check(builder: Builder, to: str) -> None:
    """See that an image could be pushed to *to* now: the spelling, and the rights. Nothing is sent.

    Raises:
        UsageError: no reference that can be pushed to.
        NetworkError: no answer, or the registry refuses us.
    """
    with connected(destination(to), builder.settings, builder.emit) as registry:
        registry.check_push()


def push(builder: Builder, image: Image, to: str, compression: str | None = None) -> Placed:
    """Put *image*, whose layers are on this machine, into the registry repository *to*, and record that it is there.

    Args:
        builder: whose image it is.
        image: as a build or a pull returned it.
        to: ``HOST[:PORT]/REPOSITORY[:TAG]``; without a tag, one from the image's key.
        compression: ``gzip`` or ``zstd``; the settings' unless given.

    Raises:
        UsageError: no reference that can be pushed to, or no such compression.
        NotFound, IntegrityError: the image is not here, or damaged.
        NetworkError: the registry cannot be reached, or refuses.
        CacheError: our disk refused.
    """
    reference = destination(to, tag_of(image))
    method = _method(compression or builder.settings.compression)
    assembled = elsewhere.assembled(_keeper(builder, image), image)
    blobs = _kept(builder).blobs
    started = time.monotonic()
    builder.emit(StageStarted(key=image.key, stage="push", detail=str(reference)))
    with connected(reference, builder.settings, builder.emit) as registry:
        work = _Push(registry, blobs, method, Meter("push", builder.emit))
        placed = work.run(assembled, reference.tag)
        _confirm(RegistryPlace(registry), image.id, placed)
    _record(builder, image, Placement(placed.place, placed.digest, placed.size, placed.reference))
    seconds = time.monotonic() - started
    builder.emit(StageFinished(key=image.key, stage="push", seconds=seconds, detail=work.summary()))
    return placed


def _keeper(builder: Builder, image: Image) -> Builder:
    """Whose folder *image* is in: the builder's own, or the one beside it that stands in for one that is only read."""
    return builder.aside if not builder.home.writable and image.place == builder.aside.place.name else builder


def _kept(builder: Builder) -> Home:
    """The cache folder that takes compressed layers and what is found out about registries, and has all blobs."""
    if builder.home.writable:
        return builder.home
    aside.view(builder.home, builder.aside.home, ())
    return builder.aside.home


def _record(builder: Builder, image: Image, placement: Placement) -> None:
    """Record where *image* is; beside a cache folder that can only be read. What cannot be recorded is there anyway."""
    try:
        builder.ledger.record(image.id, placement)
    except CacheError as exc:
        if not builder.home.writable:
            builder.aside.ledger.record(image.id, placement)
        message = f"{placement.reference} has the image, but that could not be recorded: {exc.message}"
        builder.emit(Warned(key=image.key, message=message))


def tag_of(image: Image) -> str:
    """The tag of an image that was given none: from its key, as in a layout, so that equal definitions meet."""
    if not image.key:
        return image.id.partition(":")[2][:20]
    return records.tag(image.key, image.generation, image.under)


def _method(name: str) -> Compression:
    if name not in FOLDERS:
        raise UsageError(f"compression {name!r}: expected one of {', '.join(FOLDERS)}")
    return name


def _confirm(place: RegistryPlace, image: Digest, placed: Placed) -> None:
    if place.exists(image, placed.digest) is not Presence.YES:
        why = f": {place.reason}" if place.reason else ""
        raise BackendError("registry", f"{placed.place} does not have {placed.digest} after it was pushed{why}")


class _Push:
    """One image on its way into one repository."""

    def __init__(self, registry: Registry, blobs: BlobStore, method: Compression, meter: Meter) -> None:
        self._registry = registry
        self._blobs = blobs
        self._method = method
        self._meter = meter
        self._stop = Stop()
        self._lock = Lock()
        self._fates: Counter[Fate] = Counter()

    def run(self, image: Assembled, tag: str) -> Placed:
        """All blobs, then the manifest under *tag*."""
        order = sorted(dict.fromkeys(image.layers), key=lambda layer: (-layer.size, layer.digest))
        stored = dict(zip(order, each(self._layer, order, self._stop), strict=True))
        self._send(image.image_id, len(image.config), lambda: nullcontext(io.BytesIO(image.config)))
        pushed = Assembled(image.config, tuple(stored[layer] for layer in image.layers))
        manifest = make_manifest(pushed)
        digest = self._registry.put_manifest(manifest, media.MANIFEST, tag)
        size = len(manifest) + len(image.config) + sum(layer.size for layer in pushed.layers)
        reference = self._registry.reference
        return Placed(f"registry://{reference.name}", digest, size, f"{reference.name}:{tag}")

    def summary(self) -> str:
        """``2 blobs sent, 1 mounted, 54 there already, 1.2 MB sent``."""
        fates = self._fates
        sent = f"{fates['sent']} blob{'' if fates['sent'] == 1 else 's'} sent"
        return f"{sent}, {fates['mounted']} mounted, {fates['there']} there already, {self._meter.done / 1e6:.1f} MB"

    def _layer(self, layer: Layer) -> Layer:
        """*layer* as the registry has it now: compressed here only where the registry lacks it."""
        self._stop.check()
        stored = twin(layer, self._blobs, self._method)
        if stored is not None and self._is_there(stored.digest, stored.size):
            return stored
        stored = compress(layer, self._blobs, self._method)
        self._stop.check()
        try:
            self._send(stored.digest, stored.size, lambda: self._opened(stored))
        except IntegrityError as exc:
            remedy = f"remove {self._blobs.path(stored.digest)}; it is made or fetched again"
            raise IntegrityError(exc.message, remedy=remedy) from exc
        return stored

    def _is_there(self, digest: Digest, size: int) -> bool:
        there = self._registry.has_blob(digest) in (size, 0)  # 0: some registries keep sizes to themselves
        if there:
            self._settled(digest, "there")
        return there

    def _send(self, digest: Digest, size: int, opened: Callable[[], AbstractContextManager[Readable]]) -> None:
        if self._mounted(digest):
            self._settled(digest, "mounted")
            return
        self._meter.expect(size)
        sent = self._registry.upload(digest, size, opened)
        if not sent:
            self._meter.expect(-size)
        self._settled(digest, "sent" if sent else "there")

    def _mounted(self, digest: Digest) -> bool:
        reference = self._registry.reference
        known = repositories.repositories(digest, reference.host, self._blobs)
        others = [repository for repository in known if repository != reference.repository]
        return any(self._registry.mount(digest, repository) for repository in others[:_MOUNTS])

    def _settled(self, digest: Digest, fate: Fate) -> None:
        with self._lock:
            self._fates[fate] += 1
        reference = self._registry.reference
        repositories.remember(digest, reference.host, reference.repository, self._blobs)

    @contextmanager
    def _opened(self, layer: Layer) -> Iterator[Readable]:
        path = self._blobs.path(layer.digest)
        with open_regular(path) as file:
            yield self._meter.counted(self._stop.guarded(file), short(layer.digest))
