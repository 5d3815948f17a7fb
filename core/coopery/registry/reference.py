"""References to images in registries, taken apart: host, repository, tag or digest."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from coopery import digest as _digest
from coopery.digest import Digest
from coopery.errors import UsageError
from coopery.read.image_reference import image_reference
from coopery.read.reading import Mistake
from coopery.reference import normalize

_PREFIXES: Final = ("registry://", "docker://")
_API_HOSTS: Final = {"docker.io": "registry-1.docker.io"}
"""Where a registry is spoken to, when that is not what references call it."""


@frozen
class Reference:
    """One image, or with no tag and no digest, one repository.

    Attributes:
        host: ``host[:port]`` as references have it; ``docker.io`` for Docker Hub.
        repository: path below it, ``library/debian``.
        tag: empty where a digest is given.
        digest: None where a tag is given.
    """

    host: str
    repository: str
    tag: str = ""
    digest: Digest | None = None

    @property
    def api_host(self) -> str:
        """``host[:port]`` where requests go."""
        return _API_HOSTS.get(self.host, self.host)

    @property
    def name(self) -> str:
        """``host/repository``."""
        return f"{self.host}/{self.repository}"

    @property
    def version(self) -> str:
        """What tells one image of the repository from others: the digest, or else the tag."""
        return self.digest or self.tag

    def __str__(self) -> str:
        if self.digest:
            return f"{self.name}@{self.digest}"
        return f"{self.name}:{self.tag}" if self.tag else self.name


def parse(text: str, default_tag: str = "latest") -> Reference:
    """Read *text* as Docker does: ``debian``, ``ghcr.io/team/train:v1``, ``localhost:5000/a@sha256:…``.

    Args:
        text: may begin with ``registry://`` or ``docker://``. A tag beside a digest has no say.
        default_tag: the tag where *text* has neither tag nor digest; empty: none.

    Raises:
        UsageError: it does not follow the grammar of references.
    """
    bare = next((text.removeprefix(prefix) for prefix in _PREFIXES if text.startswith(prefix)), text)
    try:
        full = normalize(image_reference(bare))
    except Mistake as exc:
        raise UsageError(str(exc), remedy=getattr(exc, "remedy", "")) from exc
    name, _, digest = full.partition("@")
    host, _, rest = name.partition("/")
    if digest:
        return Reference(host.lower(), rest, digest=_digest.parse(digest))
    repository, _, tag = rest.rpartition(":")
    given = ":" in bare.rpartition("/")[2]
    return Reference(host.lower(), repository, tag if given else default_tag)
