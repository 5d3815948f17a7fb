"""The registry store: records as small artifacts in a repository of an OCI registry, beside the images that they name.

Nothing here is imported before somebody names ``registry:``. See ``docs/registry-store.md`` for what it promises.
"""

from coopery.stores.registry.store import RegistryCache

__all__ = ["RegistryCache"]
