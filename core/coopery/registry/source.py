"""A repository as a source of blobs, as `coopery.oci` reads them. Manifests are another kind to a registry."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from coopery.digest import Digest
from coopery.oci import media
from coopery.oci.compression import Readable
from coopery.oci.descriptor import Descriptor
from coopery.oci.manifest import parse_index
from coopery.registry.download import download
from coopery.registry.endpoint import Endpoint


class RegistrySource:
    """See `coopery.oci.source.Source`. Usable from several threads.

    Args:
        endpoints: who may have a blob, the first to be asked first.
        manifest: fetches a manifest, verified, by its digest.
        tell: called with what the user should know when a mirror is passed over.
    """

    def __init__(
        self, endpoints: Sequence[Endpoint], manifest: Callable[[Digest], bytes], tell: Callable[[str], None]
    ) -> None:
        self._endpoints = endpoints
        self._manifest = manifest
        self._tell = tell
        self._lock = threading.Lock()
        self._manifests: dict[Digest, bytes | None] = {}
        self.name = " or ".join(endpoint.name for endpoint in endpoints)

    def note(self, descriptor: Descriptor, data: bytes) -> None:
        """Remember a manifest or index that was read, and that what it lists are manifests."""
        listed = parse_index(data, descriptor.media_type, self.name) if descriptor.media_type in media.INDEXES else ()
        with self._lock:
            for entry in listed:
                self._manifests.setdefault(entry.digest, None)
            self._manifests[descriptor.digest] = data

    @contextmanager
    def open(self, digest: Digest) -> Iterator[Readable]:
        """As `coopery.oci.source.Source.open`; what breaks off is asked for again.

        Raises:
            BaseError: it is not there.
            NetworkError: the registry could not be asked, or broke off too often.
        """
        with self._lock:
            known, data = digest in self._manifests, self._manifests.get(digest)
        if known:
            yield io.BytesIO(data if data is not None else self._manifest(digest))
            return
        with download(self._endpoints, digest, self._tell) as blob:
            yield blob
