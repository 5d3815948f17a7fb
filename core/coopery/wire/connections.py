"""urllib3's connections, which refuse an answer of two lengths while its socket is still at hand to be closed.

urllib3 refuses such an answer too, but only once http.client has let go of a connection that is to close: its socket
then stays open until garbage is collected. Source: RFC 9112, 6.3; CPython's ``Lib/http/client.py``, ``getresponse``.
"""

from __future__ import annotations

import http.client

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import InvalidHeader


class _Answer(http.client.HTTPResponse):
    def begin(self) -> None:
        super().begin()
        stated = self.headers.get_all("Content-Length", [])
        lengths = {part.strip() for value in stated for part in value.split(",")}
        if len(lengths) > 1:  # http.client closes what fails here
            raise InvalidHeader(f"Content-Length contained multiple unmatching values ({', '.join(sorted(lengths))})")


class _Plain(HTTPConnection):
    response_class = _Answer


class _Secure(HTTPSConnection):
    response_class = _Answer


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


def use(manager: urllib3.PoolManager) -> None:
    """Have *manager*, which is new, make connections of this kind."""
    manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
