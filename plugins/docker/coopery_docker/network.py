"""Which network a step, or an instruction of a Dockerfile, is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from coopery_docker.client import Daemon

PROXIES: Final = tuple(
    name for upper in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY") for name in (upper, upper.lower())
)
"""Variables that say where proxies are, and for which hosts there is none."""

_LOOPBACK: Final = ("127.", "localhost", "[::1]")


def network(daemon: Daemon, env: Mapping[str, str]) -> str:
    """The daemon's bridge, as ``docker build`` has it.

    The host's network where *env* names a proxy that listens on this machine's loopback only, and where the daemon was
    started without a bridge.
    """
    proxies = [env.get(name, "") for name in PROXIES if "no" not in name.lower()]
    if any(f"{mark}{host}" in proxy for proxy in proxies for mark in ("//", "@") for host in _LOOPBACK):
        return "host"
    return "bridge" if daemon.has_network("bridge") else "host"
