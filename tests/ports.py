"""Ports of loopback for servers of the tests: nobody else takes one between its choice and its use, or a restart."""

from __future__ import annotations

import secrets
import socket
from typing import Final

_FIRST: Final = 20_000
_COUNT: Final = 12_000
"""Below 32768, where Linux begins to give ports to outgoing connections (``ip_local_port_range``)."""

_claims: list[socket.socket] = []
"""Held until this process ends: of all test processes one alone can have a claim."""


def free_port() -> int:
    """A port of loopback that nobody listens on, and that no other test will be given."""
    for _ in range(1_000):
        port = _FIRST + secrets.randbelow(_COUNT)
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0coopery-tests-port-{port}")  # an abstract name: it goes with the process
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return port
    raise AssertionError(f"no port of {_FIRST} to {_FIRST + _COUNT} is free")
