"""Bring a whole image from a source of blobs into our store: several layers at once, each verified on the way.

A layer that is here already does not travel. What arrived before a failure stays, so that the next try goes on there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from attrs import evolve

from coopery.blobs import BlobStore
from coopery.digest import Digest, short
from coopery.image import Assembled
from coopery.layer import TAR, Layer
from coopery.oci.compressed import note
from coopery.oci.compression import Readable
from coopery.oci.intake import known, take
from coopery.oci.meter import Meter
from coopery.oci.parallel import Stop, each
from coopery.oci.source import Source


def fetch(source: Source, image: Assembled, blobs: BlobStore, meter: Meter, *, as_stored: bool = True) -> Assembled:
    """Bring the layers of *image*; every one's blob is in *blobs* on return.

    Args:
        source: where from.
        image: as its manifest there has it.
        blobs: where to.
        meter: told of bytes that travel.
        as_stored: keep each layer as the source has it, so that its digest stays; False: take the plain tar instead
            where that is here.

    Returns:
        The image with its layers as they are kept.

    Raises:
        BaseError: a blob is not there.
        IntegrityError: other bytes than digest, size or diff id say. What was good of the rest stays.
        StoreFull, CacheError: our disk refused.
    """
    layers = [layer if as_stored else _plain(layer, blobs) for layer in image.layers]
    missing = {layer.digest: layer for layer in layers if not known(layer, blobs)}
    stop = Stop()
    watched = _Watched(source, meter, stop)

    def bring(layer: Layer) -> None:
        stop.check()
        take(watched, layer, blobs)
        note(layer, blobs)

    for layer in missing.values():
        meter.expect(layer.size)
    each(bring, sorted(missing.values(), key=lambda layer: (-layer.size, layer.digest)), stop)
    return Assembled(image.config, tuple(layers))


def _plain(layer: Layer, blobs: BlobStore) -> Layer:
    """The uncompressed twin of *layer* where that is here and the layer itself is not."""
    if layer.media_type == TAR or known(layer, blobs):
        return layer
    size = blobs.size(layer.diff_id)
    return layer if size is None else evolve(layer, digest=layer.diff_id, size=size, media_type=TAR)


class _Watched:
    """A source whose blobs are counted, and which dries up when the work is given up."""

    def __init__(self, source: Source, meter: Meter, stop: Stop) -> None:
        self._source = source
        self._meter = meter
        self._stop = stop
        self.name = source.name

    @contextmanager
    def open(self, digest: Digest) -> Iterator[Readable]:
        with self._source.open(digest) as file:
            yield self._stop.guarded(self._meter.counted(file, short(digest)))
