"""What child processes that fetch (py-rattler, uv) are told of the outside world: proxy and certificates.

Only what the settings set is added; whatever the environment says besides stays. Programs differ in the names that they
read, so each is set in both cases; else a variable of the user's would win against the settings in one of them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from coopery.settings import Settings

_PROXY: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_LOOPBACK: Final = "localhost,127.0.0.1,::1"
_CERTIFICATES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def child_env(settings: Settings, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables to put over a child's environment, ``{**environ, **child_env(settings)}``.

    This machine itself is never reached through a proxy of the settings, as in `coopery.wire.proxies`.

    The proxy's URL may hold a password: it is for the environment of a child, which only its owner can read, never for
    an argument, a log or a message.
    """
    added: dict[str, str] = {}
    if settings.proxy:
        added |= {name: settings.proxy for upper in _PROXY for name in (upper, upper.lower())}
    direct = settings.no_proxy or environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if settings.proxy:
        direct = ",".join(filter(None, (direct, _LOOPBACK)))
    if settings.proxy or settings.no_proxy:
        added |= {"NO_PROXY": direct, "no_proxy": direct}
    if settings.ca_bundle:
        added |= dict.fromkeys(_CERTIFICATES, settings.ca_bundle)
    return added
