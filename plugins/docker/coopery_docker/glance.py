"""One GET to a daemon in half a millisecond, with nothing imported: what a hit asks.

docker-py takes 80 ms to be imported; the standard library's HTTP client 10. A daemon also speaks HTTP/1.0, which is one
request, one answer, and the end of the connection.
"""

from __future__ import annotations

import socket
from typing import Final

from coopery_docker.endpoint import Endpoint

_MOST: Final = 1 << 24


class Unanswered(OSError):  # noqa: N818 - says the state; callers make it an UNKNOWN or their own error
    """Nobody answered, or not as a daemon does."""


def fits(endpoint: Endpoint) -> bool:
    """Whether *endpoint* can be asked in this way: no TLS, no ssh."""
    return bool(endpoint.socket) or (endpoint.host.startswith("tcp://") and not endpoint.certificates)


def get(endpoint: Endpoint, path: str, seconds: float = 10.0) -> tuple[int, bytes]:
    """Status and body of ``GET path``.

    Args:
        endpoint: one that `fits`.
        path: from the first slash, nothing to be escaped in it.
        seconds: how long to wait, for each read.

    Raises:
        Unanswered: nobody answered.
    """
    try:
        with _connected(endpoint, seconds) as link:
            link.sendall(f"GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n".encode("ascii"))
            answer = _read(link)
    except (OSError, ValueError) as exc:
        raise Unanswered(*(exc.args or (str(exc),))) from exc
    head, found, body = answer.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    if not found or len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise Unanswered(f"{endpoint.host} does not answer as a Docker daemon does")
    return int(words[1]), body


def _connected(endpoint: Endpoint, seconds: float) -> socket.socket:
    if not endpoint.socket:
        host, _, port = endpoint.host.removeprefix("tcp://").rstrip("/").rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), seconds)
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.settimeout(seconds)
        link.connect(endpoint.socket)
    except BaseException:
        link.close()
        raise
    return link


def _read(link: socket.socket) -> bytes:
    pieces, size = [], 0
    while piece := link.recv(1 << 16):
        pieces.append(piece)
        size += len(piece)
        if size > _MOST:
            raise Unanswered(f"an answer of more than {_MOST} bytes")
    return b"".join(pieces)
