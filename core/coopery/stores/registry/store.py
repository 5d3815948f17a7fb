"""The registry store: an OCI registry remembers what was built, beside the images. See ``docs/registry-store.md``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Final

from coopery.cache import Kind, Record, StoreAbilities
from coopery.errors import UsageError
from coopery.reference import DEFAULT_REGISTRY
from coopery.registry.reference import Reference, parse
from coopery.settings import Settings, load
from coopery.stores.registry.attached import attach, attached
from coopery.stores.registry.records import Records
from coopery.stores.registry.repository import Repository
from coopery.wire.clock import SYSTEM, Clock

PROMISE: Final = (
    "a registry has no compare-and-set: builders without shared leases may build one key several times; "
    "all who read afterwards get one and the same of these builds, and each image that anybody was given stays"
)


class RegistryCache:
    """Records in one repository of an OCI registry. It has no leases.

    Connecting is left to the first use, and is safe in threads and across forks. Logins, TLS, proxy and repeats are
    those of `coopery.registry`.

    Args:
        reference: the repository.
        notice: told in a sentence when something damaged was found.
        settings: the outside world; read from files and environment unless given.
        images: whether what is built goes into the repository too, before it is recorded.
        clock: what waiting goes by.
    """

    scheme: ClassVar[str] = "registry"
    abilities: ClassVar[StoreAbilities] = StoreAbilities(compare_and_set=False, promise=PROMISE, attachments=True)

    def __init__(
        self,
        reference: Reference,
        notice: Callable[[str], None] = lambda _text: None,
        *,
        settings: Callable[[], Settings] = load,
        images: bool = True,
        clock: Clock = SYSTEM,
    ) -> None:
        self._repository = Repository(reference, settings, notice, clock)
        self._records = Records(self._repository, notice)
        self.images = reference.name if images else ""

    @classmethod
    def from_url(
        cls,
        url: str,
        home: Path,  # noqa: ARG003 - the protocol's
        notice: Callable[[str], None],
        settings: Callable[[], Settings] = load,
    ) -> RegistryCache:
        """``registry://HOST[:PORT]/REPOSITORY``, with ``?images=false`` to keep images out of it.

        Raises:
            UsageError: no repository, none whose host is named, a tag, or another option.
        """
        name, _, query = url.removeprefix("registry://").partition("?")
        options = dict(part.partition("=")[::2] for part in query.split("&") if part)
        images = options.pop("images", "true")
        if options or images not in ("true", "false"):
            wrong = next(iter(options), f"images={images}")
            raise UsageError(
                f"{url}: unknown option {wrong!r}; known are images=false, namespace=NAME and readonly=true"
            )
        return cls(_repository(url, name), notice, settings=settings, images=images == "true")

    def __repr__(self) -> str:
        return f"RegistryCache({self._repository.name!r})"

    def get(self, kind: Kind, name: str, generation: int | None = None) -> Record | None:
        """See `coopery.cache.Cache.get`. The newest is one request."""
        return self._records.get(kind, name, generation)

    def put(self, record: Record, expected: int) -> Record:
        """See `coopery.cache.Cache.put`; of several that put at once, see `coopery.stores.registry.records`."""
        return self._records.put(record, expected)

    def delete(self, kind: Kind, name: str) -> bool:
        """See `coopery.cache.Cache.delete`. Blobs are the registry's to collect.

        Raises:
            CacheError: also where the registry is not set up to delete, as many are not.
        """
        return self._records.delete(kind, name)

    def list(self, kind: Kind, prefix: str = "") -> Iterator[Record]:
        """See `coopery.cache.Cache.list`. One request for the tags, and one for each record."""
        return self._records.list(kind, prefix)

    def attach(self, kind: Kind, name: str, files: Mapping[str, bytes]) -> None:
        """See `coopery.cache.Attaching.attach`: as referrers of the record's manifest."""
        attach(self._repository, kind, name, files)

    def attached(self, kind: Kind, name: str, what: str) -> bytes | None:
        """See `coopery.cache.Attaching.attached`."""
        return attached(self._repository, kind, name, what)

    def close(self) -> None:
        """See `coopery.cache.Cache.close`. A store that is used again connects again."""
        self._repository.close()


def _repository(url: str, name: str) -> Reference:
    host = name.partition("/")[0]
    remedy = "registry://HOST[:PORT]/REPOSITORY"
    if "@" in host:
        raise UsageError(
            "registry: no user and password in the URL", remedy="log in: docker login, podman login; see registries.md"
        )
    if not url.startswith("registry://") or not ("." in host or ":" in host or host == "localhost"):
        raise UsageError(f"{url}: no registry is named", remedy=remedy)
    found = parse(name, "")
    if found.tag or found.digest:
        raise UsageError(f"{url}: expected a repository, got an image with a tag or digest", remedy=remedy)
    if found.host == DEFAULT_REGISTRY and "/" not in name:
        raise UsageError(f"{url}: no repository is named", remedy=remedy)
    return found
