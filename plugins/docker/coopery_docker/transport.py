"""docker-py's way to a socket on this machine, without its leak: a socket that could not be connected is closed."""

from __future__ import annotations

import socket
from typing import Any

from docker.transport import unixconn  # type: ignore[import-untyped]  # docker-py has no types


class _Connection(unixconn.UnixHTTPConnection):  # type: ignore[misc]  # as above: Any is its base
    def connect(self) -> None:
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            link.settimeout(self.timeout)
            link.connect(self.unix_socket)
        except BaseException:
            link.close()
            raise
        self.sock = link


class _Pool(unixconn.UnixHTTPConnectionPool):  # type: ignore[misc]  # as above
    def _new_conn(self) -> _Connection:
        return _Connection(self.base_url, self.socket_path, self.timeout)


class SocketAdapter(unixconn.UnixHTTPAdapter):  # type: ignore[misc]  # as above
    """For ``requests`` sessions: every host is the daemon behind one socket."""

    def get_connection(self, url: str, proxies: Any = None) -> _Pool:  # noqa: ARG002 - the base class has it
        """The connections to the daemon; made when first asked for."""
        with self.pools.lock:
            pool: _Pool | None = self.pools.get(url)
            if pool is None:
                pool = _Pool(url, self.socket_path, self.timeout, maxsize=self.max_pool_size)
                self.pools[url] = pool
            return pool
