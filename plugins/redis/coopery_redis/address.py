"""Where a server is, as a URL says it. No password is ever shown: not by `repr`, not in an error.

    redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE][?namespace=NAME]      rediss://… the same, by TLS
    redis:/path/to/redis.sock[?database=1&namespace=NAME]                  a Unix socket

Source of the first form: https://www.iana.org/assignments/uri-schemes/prov/redis
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from attrs import field, frozen

from coopery.errors import UsageError
from coopery.redact import masked

PORT: Final = 6379
NAMESPACE: Final = "default"

_NAMESPACE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_PASSWORD_VARIABLE: Final = "REDISCLI_AUTH"  # noqa: S105 - the name of the variable that redis-cli reads


@frozen
class Address:
    """One database of one server, and the part of it that is ours.

    Attributes:
        shown: the URL as people may see it.
        host: name or address; empty for a Unix socket.
        port: of TCP.
        socket: path of the Unix socket; empty for TCP.
        database: its number.
        namespace: what our keys begin with, so that teams that share a server do not meet.
        tls: whether to speak TLS.
        ca: file or folder of certificates to trust; empty: as the settings say.
        user: empty: the server's default user.
        password: empty: none stands in the URL.
    """

    shown: str
    host: str = ""
    port: int = PORT
    socket: str = ""
    database: int = 0
    namespace: str = NAMESPACE
    tls: bool = False
    ca: str = ""
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    def key(self, *parts: str) -> bytes:
        """The name of a key in the server. Braces keep a namespace's keys in one slot where the server is a cluster."""
        return ":".join((f"coopery:{{{self.namespace}}}", *parts)).encode()

    def login(self, environ: Mapping[str, str] = os.environ) -> tuple[str, str]:
        """User and password: from the URL, from netrc by host, from ``REDISCLI_AUTH``; empty where there is none.

        Raises:
            SettingsError: the netrc file cannot be read.
        """
        if self.password:
            return self.user, self.password
        if self.host:
            from coopery.wire.login import in_netrc

            found = in_netrc(self.host.lower(), self.user, environ)
            if found is not None:
                return found.user, found.password
        return self.user, environ.get(_PASSWORD_VARIABLE, "")


def parse(url: str) -> Address:
    """The address that *url* names.

    Raises:
        UsageError: it is none, or has an option that there is not. The message shows no password.
    """
    shown = masked(url)
    try:
        parts = urlsplit(url)
        port = parts.port or PORT
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError as exc:
        raise UsageError(f"{shown}: no address of a Redis server", remedy="redis://HOST:PORT/0?namespace=NAME") from exc
    tls = parts.scheme == "rediss"
    if parts.fragment or not (parts.hostname or (parts.path.startswith("/") and not tls and "//" not in url)):
        raise UsageError(
            f"{shown}: expected a host, or the path of a Unix socket",
            remedy="redis://HOST:PORT/0?namespace=NAME, or redis:/path/to/redis.sock",
        )
    known = {"namespace", *(("ca",) if tls else ()), *(() if parts.hostname else ("database",))}
    if unknown := sorted(options.keys() - known):
        raise UsageError(f"{shown}: unknown option {unknown[0]!r}; known are {', '.join(sorted(known))}")
    namespace = options.get("namespace", NAMESPACE)
    if not _NAMESPACE.fullmatch(namespace):
        raise UsageError(
            f"{shown}: namespace={namespace[:80]!r} is no name",
            remedy="use at most 63 lower-case letters, digits, - and _",
        )
    return Address(
        shown=shown,
        host=parts.hostname or "",
        port=port,
        socket="" if parts.hostname else unquote(parts.path),
        database=_number(parts.path.strip("/") if parts.hostname else options.get("database", ""), shown),
        namespace=namespace,
        tls=tls,
        ca=options.get("ca", ""),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def _number(text: str, shown: str) -> int:
    if text and not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise UsageError(f"{shown}: expected the number of a database, got {text[:80]!r}")
    return int(text or 0)
