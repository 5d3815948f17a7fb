"""docker-py's client for one daemon: on this machine, over TCP with TLS or without, or through ssh."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import docker  # type: ignore[import-untyped]  # docker-py has no types
import requests

from coopery_docker import ssh
from coopery_docker.endpoint import Endpoint
from coopery_docker.transport import SocketAdapter, SshAdapter


def connected(endpoint: Endpoint, version: str, seconds: float | None) -> Any:
    """A client of *endpoint* that connects when it is first asked.

    Args:
        endpoint: the daemon.
        version: of the API.
        seconds: how long to wait, for each read; None: for ever.

    Raises:
        BackendError: a host that ssh cannot be told.
    """
    if endpoint.through_ssh:
        words = ssh.argv(endpoint)
        made = docker.APIClient("unix:///ssh", version=version, timeout=seconds)
        made.mount(made.base_url, SshAdapter(words, seconds))
        return made
    tls = _tls(endpoint)
    made = docker.APIClient(endpoint.host, version=version, timeout=seconds, tls=tls)
    if endpoint.socket:
        made.mount(made.base_url, SocketAdapter(f"http+{endpoint.host}", timeout=seconds))
    elif tls:  # requests prefers REQUESTS_CA_BUNDLE to what it was told, and that is for other servers
        made.proxies.update(requests.utils.get_environ_proxies(made.base_url))
        made.trust_env = False
    return made


def _tls(endpoint: Endpoint) -> Any:
    if not endpoint.certificates:
        return False
    paths: Sequence[str] = [os.path.join(endpoint.certificates, name) for name in ("cert.pem", "key.pem", "ca.pem")]
    cert, key, ca = (path if os.path.isfile(path) else None for path in paths)
    return docker.tls.TLSConfig(
        client_cert=(cert, key) if cert and key else None,
        ca_cert=ca if endpoint.verify else None,
        verify=endpoint.verify,
    )
