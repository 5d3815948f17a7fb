"""One repository of a registry: what can be asked of it, each verb in a module of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from coopery.digest import Digest
from coopery.errors import BaseError, NetworkError
from coopery.events import Emit, Warned, ignore
from coopery.oci import media
from coopery.oci.config import platform_of
from coopery.oci.descriptor import Descriptor
from coopery.oci.document import MAX_BYTES
from coopery.oci.load import choose, load, platforms, wrong_platform
from coopery.oci.manifest import parse_index
from coopery.registry import manifests, upload
from coopery.registry import referrers as _referrers
from coopery.registry.credentials import Credentials
from coopery.registry.endpoint import Endpoint
from coopery.registry.mirrors import mirror_of
from coopery.registry.reference import Reference, parse
from coopery.registry.source import RegistrySource
from coopery.registry.tag_lists import tag_pages
from coopery.registry.upload import Opener
from coopery.settings import Settings
from coopery.wire.clock import SYSTEM, Clock
from coopery.wire.http import Http

_T = TypeVar("_T")
_MISSING: Final = 404


class Registry:
    """One repository. Usable from several threads; connections belong to *http*, which the caller closes.

    Where the settings name a mirror for the host, images are read from it first (by tag and by digest), and from the
    registry itself where the mirror does not have them or cannot be reached. Everything else (pushes, and questions
    about what is there) goes to the registry itself.

    Args:
        http: the wire.
        reference: the repository; its tag and digest have no say.
        settings: mirrors. Plain http, proxy and certificates are those of *http*.
        credentials: where logins are found; Docker's and Podman's files unless given.
        emit: told when a mirror is passed over.
        clock: what tokens age by.
    """

    def __init__(
        self,
        http: Http,
        reference: Reference | str,
        settings: Settings,
        credentials: Credentials | None = None,
        *,
        emit: Emit = ignore,
        clock: Clock = SYSTEM,
    ) -> None:
        self.reference = parse(reference) if isinstance(reference, str) else reference
        logins = credentials or Credentials(emit=emit)
        self._emit = emit
        self._origin = Endpoint(http, self.reference, logins, clock)
        mirror = mirror_of(self.reference, settings)
        self._readers = ((Endpoint(http, mirror, logins, clock),) if mirror else ()) + (self._origin,)
        self._source = RegistrySource(self._readers, lambda digest: self.manifest(digest)[1], self._tell)

    @property
    def name(self) -> str:
        """``host/repository``, for messages."""
        return self.reference.name

    def manifest(self, ref: str, *, limit: int = MAX_BYTES) -> tuple[Descriptor, bytes]:
        """The manifest or index that *ref*, a tag or a digest, names; size, digest and media type checked.

        Raises:
            BaseError: it is not there.
            NetworkError: the registry could not be asked.
            IntegrityError: it is not what it should be, can be read in two ways, or has more than *limit* bytes.
        """
        try:
            found, data = self._first(lambda endpoint: manifests.get(endpoint, ref, limit))
        except NetworkError as exc:
            if exc.status != _MISSING:
                raise
            raise BaseError(f"{self.name}: there is no {ref}", remedy="check the name and the tag") from exc
        self._source.note(found, data)
        return found, data

    def resolve(self, ref: str, platform: str) -> Descriptor:
        """The manifest for *platform* that *ref*, a tag or a digest, leads to, through any indexes.

        Raises:
            BaseError: it is not there, or not for *platform*; then it says what there is.
            NetworkError: the registry could not be asked.
            IntegrityError: a document on the way is not what it should be.
        """
        found, data = self.manifest(ref)
        where = f"{self.name}: {ref}"
        if found.media_type in media.MANIFESTS:
            there = platform_of(load(self._source, found).document)
            if there != platform:
                raise wrong_platform(where, platform, (there,))
            return found
        entries = parse_index(data, found.media_type, where)
        chosen = choose(entries, platform, self._source)
        if chosen is None:
            raise wrong_platform(where, platform, platforms(entries, self._source))
        return chosen

    def head(self, ref: str) -> Descriptor | None:
        """What *ref*, a tag or a digest, names in the registry itself; None where it is not there. One request.

        Raises:
            NetworkError: the registry could not be asked.
        """
        return manifests.head(self._origin, ref)

    def current(self, ref: str, *, limit: int = MAX_BYTES) -> tuple[Descriptor, bytes] | None:
        """As `manifest`, of the registry itself whatever a mirror says, and not kept; None where it is not there.

        Raises:
            NetworkError: the registry could not be asked.
            IntegrityError: as `manifest`.
        """
        try:
            return manifests.get(self._origin, ref, limit)
        except NetworkError as exc:
            if exc.status != _MISSING:
                raise
            return None

    def source(self) -> RegistrySource:
        """The blobs and manifests of this repository; not verified: that is their reader's part."""
        return self._source

    def has_blob(self, digest: Digest) -> int | None:
        """Bytes of the blob, 0 where the registry does not say; None where the repository does not have it.

        Raises:
            NetworkError: the registry could not be asked.
        """
        return upload.has(self._origin, digest)

    def mount(self, digest: Digest, from_repository: str) -> bool:
        """Take a blob over from another repository of the same registry; False where it must be sent.

        Raises:
            NetworkError: the registry could not be asked, or we may not push.
        """
        return upload.mount(self._origin, digest, from_repository)

    def upload(self, digest: Digest, size: int, opener: Opener) -> bool:
        """Send a blob, unless it is there.

        Args:
            digest: of its bytes; they are compared with it while they are sent.
            size: bytes.
            opener: opens it from its beginning; called again where the upload broke off.

        Returns:
            Whether bytes travelled.

        Raises:
            NetworkError: it could not be sent.
            IntegrityError: *opener* gives other bytes.
        """
        if upload.has(self._origin, digest) in (0, size):
            return False
        upload.send(self._origin, digest, size, opener)
        return True

    def put_manifest(self, data: bytes, media_type: str, tag: str = "") -> Digest:
        """Push a manifest or index whose parts are all there, under *tag*, or by its digest alone.

        One with a ``subject`` is entered among that one's referrers, where the registry does not do so itself.

        Raises:
            NetworkError: the registry did not take it.
            IntegrityError: it took it for something else.
        """
        digest, seen_to = manifests.put(self._origin, data, media_type, tag)
        subject = None if seen_to else _referrers.subject_of(data)
        if subject is not None:
            _referrers.announce(self._origin, subject, data, Descriptor(media_type, digest, len(data)))
        return digest

    def delete_manifest(self, digest: Digest) -> bool:
        """Delete a manifest and all tags that name it; False where it was not there.

        Raises:
            NetworkError: the registry did not; many are not set up to.
        """
        return manifests.delete(self._origin, digest)

    def tags(self) -> tuple[str, ...]:
        """All tags, sorted; none where there is no such repository.

        Raises:
            NetworkError: the registry could not be asked.
            IntegrityError: its answer is malformed.
        """
        return tuple(sorted({tag for page in self.tag_pages() for tag in page}))

    def tag_pages(self, after: str = "") -> Iterator[list[str]]:
        """Tags as the registry gives them, page by page, from behind *after*, where it honours that.

        Raises:
            NetworkError: the registry could not be asked.
            IntegrityError: its answer is malformed.
        """
        return tag_pages(self._origin, after)

    def referrers(self, digest: Digest, artifact_type: str = "") -> tuple[Descriptor, ...]:
        """Manifests whose ``subject`` is *digest*, of one *artifact_type* unless that is empty.

        Raises:
            NetworkError: the registry could not be asked.
            IntegrityError: its answer is malformed.
        """
        return _referrers.referrers(self._origin, digest, artifact_type)

    def check_push(self) -> None:
        """Find out, before anything is built, whether we may push here: begin an upload, and give it up.

        Raises:
            NetworkError: we may not, or the registry could not be asked.
        """
        upload.cancel(self._origin, upload.start(self._origin))

    def _first(self, ask: Callable[[Endpoint], _T]) -> _T:
        """The answer of the mirror, where there is one that answers; else the registry's."""
        for mirror in self._readers[:-1]:
            try:
                return ask(mirror)
            except NetworkError as exc:
                self._tell(f"{mirror.name}: {exc.reason}; going on with {self._origin.name}")
        return ask(self._origin)

    def _tell(self, message: str) -> None:
        self._emit(Warned(message=message))
