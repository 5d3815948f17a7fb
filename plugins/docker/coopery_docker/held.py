"""What of an image the daemon has already, so that it need not be sent.

The classic store knows a layer by its chain: by itself and all below it. So what counts is the longest run of layers,
from the bottom, that some image there begins with. containerd's store knows blobs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from coopery import digest as _digest
from coopery.digest import Digest
from coopery.errors import IntegrityError
from coopery.oci import media
from coopery.oci.manifest import parse_manifest

if TYPE_CHECKING:
    from coopery.blobs import BlobStore
    from coopery.image import Assembled
    from coopery.layer import Layer
    from coopery_docker.client import Daemon


def chain(daemon: Daemon, blobs: BlobStore, image: Assembled) -> int:
    """How many of the layers of *image*, from the bottom up, the classic store has in this order."""
    wanted = [str(layer.diff_id) for layer in image.layers]
    best = 0
    for entry in daemon.images():
        if best == len(wanted):
            break
        pairs = zip(wanted, _diff_ids(daemon, blobs, str(entry["Id"])), strict=False)
        best = max(best, sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs)))
    return best


def held_blobs(daemon: Daemon, blobs: BlobStore, layers: Sequence[Layer]) -> frozenset[Digest]:
    """Which of *layers* containerd's store has, as far as images say that we know the manifests of."""
    wanted = {layer.digest for layer in layers}
    found: set[Digest] = set()
    for entry in daemon.images():
        if wanted <= found:
            break
        found |= wanted & set(_layers_of(blobs, str(entry["Id"])))
    return frozenset(found)


def _diff_ids(daemon: Daemon, blobs: BlobStore, image: str) -> Sequence[str]:
    """Of an image in the classic store, whose id is its config's digest: read here where we have that config."""
    own = _own(blobs, image)
    if own is not None:
        document: Any = json.loads(own)
        return list((document.get("rootfs") or {}).get("diff_ids") or [])
    return daemon.diff_ids(image)


def _layers_of(blobs: BlobStore, image: str) -> Iterable[Digest]:
    manifest = _own(blobs, image)
    try:
        return [layer.digest for layer in parse_manifest(manifest, media.MANIFEST, image).layers] if manifest else []
    except IntegrityError:  # an index, or a manifest of another kind: it tells us nothing
        return []


def _own(blobs: BlobStore, digest: str) -> bytes | None:
    """The document with that digest, where it is among our blobs, small and undamaged."""
    try:
        return blobs.read(_digest.parse(digest), limit=1 << 22)
    except (OSError, ValueError, IntegrityError):
        return None
