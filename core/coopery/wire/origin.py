"""Where a URL leads, taken apart so that no two programs can read it differently, and what may be shown of it.

A URL is refused rather than guessed at: whitespace, control characters, backslashes and odd hosts are how one program
checks one host and another program asks a second. What is sent is put together again from the parts.
Source: RFC 3986, sections 3 and 6.2; RFC 6454, section 4 (origins).
"""

from __future__ import annotations

import base64
import ipaddress
import re
from typing import Final, Protocol
from urllib.parse import quote, unquote, urljoin, urlsplit

from attrs import field, frozen

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LONGEST: Final = 16_384
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_])?\.?")
_TOKEN_IN_PATH = re.compile(r"/t/[^/]+")


class Login(Protocol):
    """Finds the credentials for a URL: netrc, a keyring, a registry's token.

    What it answers is sent to that URL's origin and never follows a redirect to another one, for which it is asked
    anew. It is called for every request, from several threads.
    """

    def __call__(self, url: str, /) -> str | None:
        """The value of ``Authorization`` for *url* (without user and password), or None for none."""
        ...


@frozen
class Origin:
    """Scheme, host in lower case (an IPv6 address without brackets) and port: what a credential belongs to."""

    scheme: str
    host: str
    port: int

    @property
    def netloc(self) -> str:
        """``host`` or ``host:port``, without a port that the scheme implies."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether this is the machine itself."""
        return is_loopback(self.host)

    def is_called(self, name: str) -> bool:
        """Whether *name*, ``host`` or ``host:port``, means this one."""
        return name.lower() in (self.netloc, f"{self.netloc.removesuffix(f':{self.port}')}:{self.port}")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}"


@frozen
class Address:
    """One URL.

    Attributes:
        origin: where the request goes.
        target: path and query as they are sent; begins with ``/``.
        userinfo: ``user:password`` as the URL had it, decoded; empty where it had none. Never sent as such.
    """

    origin: Origin
    target: str
    userinfo: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """The whole URL without user and password."""
        return f"{self.origin}{self.target}"

    @property
    def shown(self) -> str:
        """For messages and logs: no query (signed URLs carry secrets there) and no token in the path."""
        path, mark, _ = self.target.partition("?")
        return f"{self.origin}{_TOKEN_IN_PATH.sub('/t/***', path)}{'?…' if mark else ''}"

    @property
    def basic(self) -> str | None:
        """The value of ``Authorization`` for what stood in the URL."""
        return basic(*self.userinfo.partition(":")[::2]) if self.userinfo else None

    def join(self, reference: str) -> Address:
        """Where *reference*, as a ``Location`` or ``Link`` header has it, leads from here.

        Raises:
            ValueError: nowhere that is asked for by http or https.
        """
        if _FORBIDDEN.search(reference):
            raise ValueError("a URL holds no spaces, control characters or backslashes")
        return parse(urljoin(self.url, reference))


def parse(url: str) -> Address:
    """Take *url* apart.

    Raises:
        ValueError: another scheme than http and https, no host or an odd one, or characters that no URL has. The
            message does not repeat *url*, which may hold a password.
    """
    if len(url) > _LONGEST:
        raise ValueError(f"a URL has at most {_LONGEST} characters")
    if _FORBIDDEN.search(url):
        raise ValueError("a URL holds no spaces, control characters or backslashes")
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError(f"expected http:// or https://, got {parts.scheme[:20] or 'no scheme'}")
    userinfo, _, netloc = parts.netloc.rpartition("@")
    origin = origin_of(parts.scheme, netloc)
    target = quote(parts.path or "/", safe="/:@!$&'()*+,;=~%-._")
    query = quote(parts.query, safe="/?:@!$&'()*+,;=~%-._[]")
    return Address(origin, f"{target}?{query}" if query else target, unquote(userinfo))


def origin_of(scheme: str, netloc: str) -> Origin:
    """The origin of ``host[:port]``.

    Raises:
        ValueError: no host, an odd one, or a port that there is not.
    """
    host, port = _split(netloc)
    number = int(port) if port else _DEFAULT_PORTS[scheme]
    if not 0 < number < 65_536:
        raise ValueError(f"expected a port from 1 to 65535, got {number}")
    return Origin(scheme, host, number)


def shown(url: str) -> str:
    """*url* as it may be shown; of what is no URL at all, nothing is."""
    try:
        return parse(url).shown
    except ValueError:
        return "(no URL)"


def basic(user: str, password: str) -> str:
    """The value of ``Authorization`` for a name and password. Source: RFC 7617."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


def is_loopback(host: str) -> bool:
    """Whether *host* is this machine: ``localhost``, a name below it, 127.0.0.0/8 or ``::1``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_address(host: str) -> bool:
    """Whether *host* is an IP address rather than a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _split(netloc: str) -> tuple[str, str]:
    match = re.fullmatch(r"(?:\[([^\[\]]*)\]|([^:\[\]]*))(?::([0-9]{0,5}))?", netloc)
    if match is None:
        raise ValueError("expected host[:port]")
    if match[1] is not None:
        return str(ipaddress.IPv6Address(match[1])), match[3] or ""
    return _name(match[2]), match[3] or ""


def _name(host: str) -> str:
    lower = host.lower()
    if not lower.isascii():
        try:
            lower = lower.encode("idna").decode("ascii")
        except UnicodeError as exc:
            raise ValueError("the host is no name that there can be") from exc
    if not _HOST.fullmatch(lower) or ".." in lower:
        raise ValueError("expected the name or address of a host")
    return lower
