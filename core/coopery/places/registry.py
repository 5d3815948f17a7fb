"""A registry's repository, as a place: asked by a manifest's digest. It keeps images and cannot run them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from coopery.digest import Digest
from coopery.errors import NetworkError, UnsupportedError
from coopery.place import Presence, RunRequest

if TYPE_CHECKING:
    from coopery.registry import Registry

SCHEME: Final = "registry://"


class RegistryPlace:
    """Images in one repository.

    Args:
        registry: the repository, connected.

    Attributes:
        name: ``registry://host/repository``.
        reason: why the last answer was UNKNOWN, in words.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.name = f"{SCHEME}{registry.name}"
        self.reason = ""

    def exists(self, image: Digest, digest: Digest) -> Presence:  # noqa: ARG002 - the manifest names its config itself
        """Whether the repository has the manifest *digest*: one HEAD. A registry has what its manifests name."""
        try:
            return Presence.YES if self._registry.head(digest) is not None else Presence.NO
        except NetworkError as exc:  # no answer, or none for us: neither yes nor no
            self.reason = exc.message
            return Presence.UNKNOWN

    def remove(self, image: Digest, digest: Digest) -> bool:  # noqa: ARG002 - as in `exists`
        """Delete the manifest, and with it every tag that names it; False when it was not here.

        Blobs are the registry's to collect.

        Raises:
            NetworkError: it cannot be reached, or refuses: many registries delete nothing.
        """
        return self._registry.delete_manifest(digest)

    def run(self, digest: Digest, request: RunRequest) -> int:  # noqa: ARG002 - the protocol's
        """Refused.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError("registry", "run images", "run", remedy="coopery pull brings an image where it can run")
