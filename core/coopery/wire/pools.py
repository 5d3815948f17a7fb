"""Connections by urllib3, kept open and shared. Its answers end here, its errors in `coopery.wire.trouble`."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Mapping
from typing import Final, Protocol

import urllib3
from attrs import frozen
from urllib3.util import Timeout

from coopery.settings import Settings
from coopery.wire import connections, proxies, trust
from coopery.wire.origin import Address
from coopery.wire.trouble import translated

BLOCK: Final = 1 << 16
"""Bytes that are sent at once: each block has the time of ``Timeouts.connect`` to leave, 6.5 kB/s at the least."""

_KEPT: Final = 8
_HOSTS: Final = 32


@frozen
class Timeouts:
    """Seconds of silence that are borne: until a connection stands, and between two signs of life from a server."""

    connect: float = 10.0
    read: float = 30.0


class Body(Protocol):
    """What is sent, read from the front."""

    def read(self, size: int = -1, /) -> bytes:
        """At most *size* bytes; ``b""`` at the end only."""
        ...


class Raw:
    """One answer as it comes from the wire. Every method raises our errors only."""

    def __init__(self, response: urllib3.BaseHTTPResponse, address: Address) -> None:
        self._response = response
        self._address = address
        self.status = int(response.status)
        self.reason = str(response.reason or "")
        self.headers: Mapping[str, str] = response.headers  # urllib3's mapping ignores case
        self.ended = response.length_remaining == 0

    def read(self, size: int) -> bytes:
        """What has arrived, at most *size* bytes, after at most one wait; ``b""`` at the end only."""
        data = translated(self._address, lambda: self._response.read1(size, decode_content=False))
        self.ended = not data
        return data

    def close(self) -> None:
        """Give the connection back where the body was read to its end, else end it."""
        if self.ended:
            self._response.drain_conn()  # reads nothing more; tells http.client that the answer is over
            self._response.release_conn()
        self._response.close()


class _BodyFailed(Exception):  # noqa: N818 - says what happened; never leaves this file
    """What we were sending could not be read: neither the server's fault nor the network's."""

    def __init__(self, why: Exception) -> None:
        super().__init__()
        self.why = why


class _Guarded:
    """A body whose own errors are not taken for the connection's."""

    def __init__(self, body: Body) -> None:
        self._body = body

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._body.read(size)
        except Exception as exc:
            raise _BodyFailed(exc) from exc


class Pools:
    """Pools of connections, one for each proxy and for none. A process that forks gets its own."""

    def __init__(self, settings: Settings, timeouts: Timeouts) -> None:
        self._settings = settings
        self._timeouts = timeouts
        self._proxies = proxies.read(settings)
        self._lock = threading.Lock()
        self._managers: dict[str, urllib3.PoolManager] = {}
        self._trust: ssl.SSLContext | None = None
        self._process = os.getpid()

    def send(self, method: str, address: Address, headers: Mapping[str, str], body: Body | None, silence: float) -> Raw:
        """One request, one answer, nothing followed and nothing tried again.

        Args:
            method: in capitals.
            address: where.
            headers: as sent.
            body: with its ``Content-Length`` in *headers*, else it is sent in chunks.
            silence: seconds within which the server has to begin to answer, and later to go on.

        Raises:
            NetworkError: no answer.
            UsageError: the proxy or the CA bundle cannot be used.
            Exception: whatever *body* raised.
        """
        manager = self._manager(address)
        timeout = Timeout(connect=min(self._timeouts.connect, silence), read=silence)

        def ask() -> urllib3.BaseHTTPResponse:
            return manager.urlopen(
                method,
                address.url,
                headers=dict(headers),
                body=_Guarded(body) if body is not None else None,
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )

        try:
            return Raw(translated(address, ask), address)
        except _BodyFailed as exc:
            raise exc.why from None

    def close(self) -> None:
        """End all connections."""
        with self._lock:
            managers, self._managers = list(self._managers.values()), {}
        for manager in managers:
            manager.clear()

    def _manager(self, address: Address) -> urllib3.PoolManager:
        proxy = self._proxies.choose(address.origin)
        name = "" if proxy is None else proxy.url
        with self._lock:
            if self._process != os.getpid():  # two processes must not talk over one connection
                self._process, self._managers = os.getpid(), {}
            secure = address.origin.scheme == "https" or (proxy is not None and proxy.origin.scheme == "https")
            key = f"{name} {secure}"  # so that plain http never waits for certificates to be read
            if key not in self._managers:
                self._managers[key] = self._make(proxy, self._context() if secure else None)
                connections.use(self._managers[key])
            return self._managers[key]

    def _make(self, proxy: Address | None, context: ssl.SSLContext | None) -> urllib3.PoolManager:
        if proxy is None:
            return urllib3.PoolManager(_HOSTS, maxsize=_KEPT, ssl_context=context, blocksize=BLOCK)
        login = {"Proxy-Authorization": proxy.basic} if proxy.basic else {}
        return urllib3.ProxyManager(
            str(proxy.origin),
            _HOSTS,
            proxy_headers=login,
            proxy_ssl_context=context,
            maxsize=_KEPT,
            ssl_context=context,
            blocksize=BLOCK,
        )

    def _context(self) -> ssl.SSLContext:
        if self._trust is None:
            self._trust = trust.context(trust.bundle(self._settings))
        return self._trust
