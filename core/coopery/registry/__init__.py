"""A client for OCI registries: manifests, blobs, uploads, tags and referrers, with credentials as Docker keeps them.

`Registry` is one repository. Nothing here is imported before an image is fetched or pushed. Why a client of our own:
``docs/decisions/0009-a-registry-client-of-our-own.md``. Section names in docstrings are those of the OCI distribution
spec v1.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coopery.registry.client import Registry as Registry
    from coopery.registry.credentials import Credentials as Credentials
    from coopery.registry.reference import Reference as Reference

_HOMES = {
    "Credentials": "coopery.registry.credentials",
    "Reference": "coopery.registry.reference",
    "Registry": "coopery.registry.client",
}
__all__ = ["Credentials", "Reference", "Registry"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'coopery.registry' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
