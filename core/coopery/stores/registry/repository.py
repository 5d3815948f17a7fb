"""The repository, as the store asks it: connected to on first use, by each process for itself; errors in our words."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

from attrs import frozen

from coopery import digest as _digest
from coopery.digest import Digest
from coopery.errors import BaseError, CacheError, CooperyError, IntegrityError, NetworkError, StoreFull
from coopery.events import Event, Warned
from coopery.oci import media
from coopery.oci.descriptor import Descriptor
from coopery.registry.reference import Reference
from coopery.settings import Settings
from coopery.stores.registry.artifact import EMPTY, Artifact
from coopery.wire.clock import SYSTEM, Clock

if TYPE_CHECKING:
    from coopery.registry import Registry
    from coopery.wire.http import Http

_PLAIN: Final = re.compile(r"[0-9a-z]+")
_FULL: Final = 507
_TOO_LARGE: Final = 413
_NOT_ALLOWED: Final = 405


@frozen
class _Opened:
    pid: int
    http: Http
    registry: Registry


class Repository:
    """One repository. Usable from several threads and across forks.

    Manifests are asked of the registry itself, whatever mirrors the settings name: it alone knows what is newest.

    Args:
        reference: host and repository.
        settings: read on first use.
        notice: told what the wire warns of.
        clock: what waiting goes by.

    Raises:
        CacheError: from every method: it cannot be asked, or refuses. StoreFull where it says that it is full.
    """

    def __init__(
        self,
        reference: Reference,
        settings: Callable[[], Settings],
        notice: Callable[[str], None],
        clock: Clock = SYSTEM,
    ) -> None:
        self.reference = reference
        self._settings = settings
        self._notice = notice
        self._clock = clock
        self._opened: _Opened | None = None
        self._sent: set[Digest] = set()

    @property
    def name(self) -> str:
        """``host/repository``."""
        return self.reference.name

    def close(self) -> None:
        """Close what this process opened; the next use opens anew."""
        opened, self._opened = self._opened, None
        if opened is not None and opened.pid == os.getpid():
            opened.http.close()

    # --- reading ------------------------------------------------------------------------------------

    def manifest(self, version: str) -> tuple[Descriptor, bytes] | None:
        """What a tag or digest names, checked by its digest; None where it is not there.

        Raises:
            IntegrityError: what is there is damaged, or no manifest.
        """
        with self._asked(judging=True) as registry:
            return registry.current(version)

    def digest(self, tag: str) -> Digest | None:
        """What *tag* names; None where it is not there.

        Raises:
            IntegrityError: what is there is no manifest.
        """
        with self._asked(judging=True) as registry:
            found = registry.head(tag)
            return found.digest if found is not None else None

    def blob(self, wanted: Descriptor) -> bytes:
        """A small blob, whole; its reader compares it with its digest.

        Raises:
            IntegrityError: it is not there, or longer.
        """
        with self._asked(judging=True) as registry:
            try:
                with registry.source().open(wanted.digest) as file:
                    data = b""
                    while len(data) <= wanted.size and (piece := file.read(1 << 20)):
                        data += piece
                    return data
            except BaseError as exc:
                raise IntegrityError(f"{self.name}: {wanted.digest} is missing") from exc

    def tags(self, beginnings: Collection[str]) -> set[str]:
        """All tags that begin with one of *beginnings*: letters and digits, or empty for every tag."""
        found: set[str] = set()
        with self._asked() as registry:
            for beginning in beginnings:
                for page in registry.tag_pages(beginning):
                    found.update(tag for tag in page if tag.startswith(tuple(beginnings)))
                    ours = [tag for tag in page if _PLAIN.fullmatch(tag)]
                    if beginning and any(tag <= beginning for tag in ours):
                        # It does not begin where it was asked to, so that this list is the whole one.
                        return {
                            tag for page in registry.tag_pages() for tag in page if tag.startswith(tuple(beginnings))
                        }
                    if any(tag > beginning and not tag.startswith(beginning) for tag in ours):
                        break
        return found

    def referrers(self, digest: Digest, artifact_type: str) -> tuple[Descriptor, ...]:
        """What refers to *digest*.

        Raises:
            IntegrityError: what says so is damaged.
        """
        with self._asked(judging=True) as registry:
            return registry.referrers(digest, artifact_type)

    # --- writing ------------------------------------------------------------------------------------

    def put(self, artifact: Artifact, tag: str) -> None:
        """Send what *artifact* needs, then its manifest, under *tag*; by its digest alone where that is empty."""
        with self._asked() as registry:
            for data in (EMPTY, artifact.blob):
                digest = _digest.of_bytes(data)
                if digest not in self._sent:
                    registry.upload(digest, len(data), lambda data=data: nullcontext(io.BytesIO(data)))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            self._sent.add(_digest.of_bytes(EMPTY))
            registry.put_manifest(artifact.manifest, media.MANIFEST, tag)

    def point(self, tag: str, manifest: bytes) -> None:
        """Have *tag* name a manifest that the repository has."""
        with self._asked() as registry:
            registry.put_manifest(manifest, media.MANIFEST, tag)

    def forget(self, digest: Digest) -> bool:
        """Delete a manifest with all its tags; False where it was not there."""
        with self._asked() as registry:
            return registry.delete_manifest(digest)

    # --- within -------------------------------------------------------------------------------------

    @contextmanager
    def _asked(self, *, judging: bool = False) -> Iterator[Registry]:
        """The repository, its errors in our words; *judging*: whoever asks knows what to do about what is damaged."""
        try:
            yield self._registry()
        except CacheError:
            raise
        except IntegrityError as exc:
            if judging:
                raise
            raise CacheError(exc.message, remedy="look what answers there: it speaks no registry's language") from exc
        except NetworkError as exc:
            raise self._translated(exc) from exc
        except CooperyError as exc:  # of the settings, or of files with logins
            raise CacheError(f"{self.name}: {exc.message}", remedy=exc.remedy) from exc

    def _registry(self) -> Registry:
        """This process's. Two threads may both make the first one, of which one is dropped: no fork finds a lock."""
        opened = self._opened
        if opened is None or opened.pid != os.getpid():
            opened = self._opened = self._open()
        return opened.registry

    def _open(self) -> _Opened:
        from coopery.registry.client import Registry
        from coopery.wire.http import Http

        settings = self._settings()
        http = Http(settings, emit=self._tell, clock=self._clock)
        registry = Registry(http, self.reference, settings, emit=self._tell, clock=self._clock)
        return _Opened(os.getpid(), http, registry)

    def _tell(self, event: Event) -> None:
        if isinstance(event, Warned):
            self._notice(event.message)

    def _translated(self, exc: NetworkError) -> CacheError:
        if exc.status in (_FULL, _TOO_LARGE):
            return StoreFull(exc.message, remedy="make room in the registry, or name another cache store")
        if exc.status == _NOT_ALLOWED:
            return CacheError(exc.message, remedy="this registry is not set up to do that")
        return CacheError(exc.message, remedy=exc.remedy or "see that the registry runs and can be reached from here")
