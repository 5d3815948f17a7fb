"""Which proxy a request goes through: the settings', else the environment's, as other tools read it.

``HTTPS_PROXY`` or ``HTTP_PROXY`` by the URL's scheme, else ``ALL_PROXY``; lower case first. Hosts in ``NO_PROXY`` are
reached directly, and this machine itself always is.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping

from attrs import frozen

from coopery.errors import UsageError
from coopery.settings import Settings
from coopery.wire.origin import Address, Origin, is_loopback, parse


@frozen
class Proxies:
    """One reading of settings and environment: a proxy for each scheme (empty: none), and who needs none."""

    http: str
    https: str
    direct: tuple[str, ...]

    @property
    def any(self) -> bool:
        """Whether there is a proxy for anybody."""
        return bool(self.http or self.https)

    def choose(self, origin: Origin) -> Address | None:
        """The proxy for requests to *origin*; None to go there directly.

        Raises:
            UsageError: what is set is no http or https URL.
        """
        url = self.https if origin.scheme == "https" else self.http
        if not url or is_loopback(origin.host) or any(_covers(entry, origin) for entry in self.direct):
            return None
        try:
            return parse(url if "://" in url else f"http://{url}")
        except ValueError as exc:
            raise UsageError(
                f"the proxy for {origin.scheme}: {exc}", remedy="write it as http://host:port (SOCKS is not spoken)"
            ) from exc


def read(settings: Settings, environ: Mapping[str, str] = os.environ) -> Proxies:
    """The proxies that *settings* name, else those of *environ*."""
    direct = settings.no_proxy or _either(environ, "no_proxy")
    entries = tuple(entry.strip().lower() for entry in direct.replace(" ", ",").split(",") if entry.strip())
    if settings.proxy:
        return Proxies(settings.proxy, settings.proxy, entries)
    # A web server hands a client's header Proxy on as HTTP_PROXY (CVE-2016-5385): not believed in a CGI script.
    http = environ.get("http_proxy", "") if "REQUEST_METHOD" in environ else _either(environ, "http_proxy")
    everything = _either(environ, "all_proxy")
    return Proxies(http or everything, _either(environ, "https_proxy") or everything, entries)


def _either(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name) or environ.get(name.upper()) or ""


def _covers(entry: str, origin: Origin) -> bool:
    if entry == "*":
        return True
    network = _network(entry)
    if network is not None:
        try:
            return ipaddress.ip_address(origin.host) in network
        except ValueError:
            return False
    name, _, port = entry.rpartition(":") if entry.rpartition(":")[2].isdecimal() else (entry, "", "")
    if port and int(port) != origin.port:
        return False
    name = name.strip("[]").removeprefix("*").removeprefix(".")
    return bool(name) and (origin.host == name or origin.host.endswith(f".{name}"))


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return None
