"""Whether a token server may be shown the login of a registry that names it.

A registry says by itself where tokens are had ("realm"), so whoever can answer in its place could have the password
sent anywhere. Docker's own convention trusts every realm. Here a realm gets the registry's login only when it is

- of the registry's own origin, or
- reached by https, named by a registry that is reached by https, and of the same site: the same host, a host below
  it, its parent domain, or below its parent domain (``auth.docker.io`` for ``registry-1.docker.io``, ``gitlab.com``
  for ``registry.gitlab.com``). A parent domain has at least two labels, three where it ends like ``co.uk``.

Any other realm gets what the user's files keep for its own host, or no login at all.
"""

from __future__ import annotations

from typing import Final

from coopery.wire.origin import Origin, is_address

_COUNTRY: Final = 2
_SHORT: Final = 3


def may_know(registry: Origin, realm: Origin) -> bool:
    """Whether the login for *registry* may be sent to *realm*."""
    if realm == registry:
        return True
    return registry.scheme == realm.scheme == "https" and _same_site(registry.host, realm.host)


def is_safe(registry: Origin, realm: Origin) -> bool:
    """Whether *realm* may be asked at all: a registry behind TLS must not lead out of it."""
    return realm.scheme == "https" or registry.scheme == "http"


def _same_site(registry: str, realm: str) -> bool:
    if registry == realm:
        return True
    if is_address(registry) or is_address(realm):
        return False
    if realm.endswith(f".{registry}"):
        return True
    parent = registry.partition(".")[2]
    return _is_a_site(parent) and (realm == parent or realm.endswith(f".{parent}"))


def _is_a_site(domain: str) -> bool:
    """Whether *domain* has one owner, as far as a name can tell: ``docker.io`` has; ``io`` and ``co.uk`` have not."""
    labels = domain.rstrip(".").split(".")
    public = len(labels) == _COUNTRY and len(labels[1]) == _COUNTRY and len(labels[0]) <= _SHORT
    return len(labels) >= _COUNTRY and not public
