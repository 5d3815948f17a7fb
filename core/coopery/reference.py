"""References to images: many spellings, one meaning. ``ubuntu`` is ``docker.io/library/ubuntu:latest`` everywhere.

Source: the grammar of github.com/distribution/reference, whose "familiar names" Docker and Kubernetes share. Podman's
short-name lists and other settings of a machine have no say: a definition means the same thing to everybody.
"""

from __future__ import annotations

from typing import Final

DEFAULT_REGISTRY: Final = "docker.io"
_ALIASES: Final = ("index.docker.io", "registry-1.docker.io")


def normalize(reference: str) -> str:
    """The one full spelling: ``registry/repository:tag``, or ``registry/repository@digest``.

    A tag beside a digest is left out, since the digest alone decides. The text is taken to be a reference already.
    """
    name, _, digest = reference.partition("@")
    head, _, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    registry, _, rest = head.partition("/")
    if not _is_registry(registry):
        registry, rest = DEFAULT_REGISTRY, head
    elif registry in _ALIASES:
        registry = DEFAULT_REGISTRY
    if registry == DEFAULT_REGISTRY and not rest:
        rest = "library"
    path = "/".join(part for part in (registry, rest, last) if part)
    return f"{path}@{digest}" if digest else f"{path}:{tag or 'latest'}"


def _is_registry(first: str) -> bool:
    """Whether the first of several components is a host: it has a dot, a port, capitals, or is ``localhost``."""
    return first == "localhost" or "." in first or ":" in first or first != first.lower()
