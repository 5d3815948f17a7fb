"""Ways to a daemon that docker-py does not have, or not well.

To a socket on this machine without its leak: one that could not be connected is closed. Through the machine's own ssh,
where docker-py wants a library.
"""

from __future__ import annotations

import http.client
import socket
import threading
from typing import Any

from docker.transport import unixconn  # type: ignore[import-untyped]  # docker-py has no types

from coopery_docker import ssh


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


class _Through(unixconn.UnixHTTPConnection):  # type: ignore[misc]  # as above
    """One ssh. What it says is the error where the connection ends before an answer."""

    def __init__(self, pool: _Tunnels) -> None:
        super().__init__(pool.base_url, "", pool.timeout)
        self._tunnels = pool
        self._link: ssh.Link | None = None

    def connect(self) -> None:
        self._link = self._tunnels.dig(self.timeout)
        self.sock = self._link.socket

    def send(self, data: Any) -> None:
        try:
            super().send(data)
        except ConnectionResetError as exc:  # there may be an answer to read: urllib3 knows that of a broken pipe only
            raise BrokenPipeError(*exc.args) from exc

    def getresponse(self) -> Any:
        try:
            return super().getresponse()
        except (http.client.HTTPException, ConnectionError) as exc:
            answered = "" if isinstance(exc, ConnectionError) else str(exc).strip()  # a login may say something itself
            words = (answered, self._link.why() if self._link is not None else "")
            raise ssh.SshFailed("\n".join(filter(None, words)) or str(exc)) from exc


class _Tunnels(unixconn.UnixHTTPConnectionPool):  # type: ignore[misc]  # as above
    def __init__(self, argv: tuple[str, ...], url: str, timeout: float | None, maxsize: int) -> None:
        super().__init__(url, "", timeout, maxsize=maxsize)
        self._argv = argv
        self._links: list[ssh.Link] = []
        self._lock = threading.Lock()

    def dig(self, seconds: float | None) -> ssh.Link:
        """One more connection; those that have ended are forgotten."""
        made = ssh.Link(self._argv, seconds)
        with self._lock:
            for link in [link for link in self._links if link.ended]:
                self._links.remove(link)
                link.end()
            self._links.append(made)
        return made

    def _new_conn(self) -> _Through:
        return _Through(self)

    def close(self) -> None:
        super().close()
        with self._lock:
            while self._links:
                self._links.pop().end()


class SshAdapter(unixconn.UnixHTTPAdapter):  # type: ignore[misc]  # as above
    """For ``requests`` sessions: every host is the daemon that *argv* connects to (`coopery_docker.ssh.argv`)."""

    def __init__(self, argv: tuple[str, ...], timeout: float | None) -> None:
        super().__init__("", timeout=timeout)
        self._argv = argv

    def get_connection(self, url: str, proxies: Any = None) -> _Tunnels:  # noqa: ARG002 - the base class has it
        """The connections to the daemon: the same for every URL, since each begins with a login."""
        with self.pools.lock:
            pool: _Tunnels | None = self.pools.get("")
            if pool is None:
                pool = _Tunnels(self._argv, url, self.timeout, self.max_pool_size)
                self.pools[""] = pool
            return pool
