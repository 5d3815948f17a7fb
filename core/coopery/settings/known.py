"""Which settings there are. Plain tables: they are read on every hit."""

from __future__ import annotations

from typing import Final

VARIABLES: Final = {
    "home": "COOPERY_HOME",
    "cache": "COOPERY_CACHE",
    "leases": "COOPERY_LEASES",
    "backend": "COOPERY_BACKEND",
    "debian_mirror": "COOPERY_DEBIAN_MIRROR",
    "ca_bundle": "SSL_CERT_FILE",
    "channel_alias": "COOPERY_CHANNEL_ALIAS",
    "index_url": "COOPERY_INDEX_URL",
    "proxy": "COOPERY_PROXY",
    "no_proxy": "COOPERY_NO_PROXY",
    "compression": "COOPERY_COMPRESSION",
    "moved_base": "COOPERY_MOVED_BASE",
}
"""Setting → the environment variable that sets it too."""

TABLES: Final = ("channels", "indexes", "registries")
"""Settings that are tables: files add to them, key by key."""

LISTS: Final = ("plain_http", "trusted_projects")

NAMES: Final = (*VARIABLES, *TABLES, *LISTS)

PROJECT: Final = frozenset({"backend", "compression", "moved_base"})
"""What any ``.coopery.toml`` may set. It arrives with a clone, so it must not say where content comes from, whom to
trust, what is sent where, or which records are believed: a key would then stand for a stranger's packages.
"""
