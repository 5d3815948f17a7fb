"""Which certificates are believed: the settings' bundle, else the one other tools are told of, else the system's."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping

from coopery.errors import UsageError
from coopery.settings import Settings

_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def bundle(settings: Settings, environ: Mapping[str, str] = os.environ) -> str:
    """File or folder of certificates; empty for the system's own."""
    return settings.ca_bundle or next((environ[name] for name in _VARIABLES if environ.get(name)), "")


def context(path: str) -> ssl.SSLContext:
    """TLS 1.2 or later, certificates and host names checked. Reading a system's certificates takes 50 ms.

    Raises:
        UsageError: *path* holds no certificates.
    """
    try:
        if not path:
            return ssl.create_default_context()
        folder = os.path.isdir(path)
        return ssl.create_default_context(cafile=None if folder else path, capath=path if folder else None)
    except (OSError, ssl.SSLError) as exc:
        raise UsageError(
            f"the CA bundle {path} cannot be read: {exc}",
            remedy="set ca_bundle in the settings, or SSL_CERT_FILE, to a file of certificates in PEM",
        ) from exc
