"""Which daemon is meant: ``DOCKER_HOST``, else ``DOCKER_CONTEXT``, else the current context, else the usual socket.

The rule and its order are those of the docker command line. Nothing is imported that a hit does not have already.
Source: docs.docker.com, "Docker contexts" and "Environment variables".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from coopery.errors import BackendError

NAME: Final = "docker"
"""What this backend is called, in errors too."""

DEFAULT_HOST: Final = "unix:///var/run/docker.sock"


@frozen
class Endpoint:
    """One daemon.

    Attributes:
        host: ``unix://PATH``, ``tcp://HOST:PORT``, ``ssh://…``.
        certificates: folder with ``ca.pem``, ``cert.pem`` and ``key.pem`` for TLS; empty: no TLS.
        verify: check the daemon's certificate.
        origin: who said so, for messages.
    """

    host: str = DEFAULT_HOST
    certificates: str = ""
    verify: bool = True
    origin: str = "the default"

    @property
    def place(self) -> str:
        """The place's name: ``docker:``, and the host where it is not the usual one."""
        return "docker:" if self.host == DEFAULT_HOST else f"docker:{self.host}"

    @property
    def socket(self) -> str:
        """Path of the daemon's socket on this machine; empty where it is reached in another way."""
        return self.host.removeprefix("unix://") if self.host.startswith("unix://") else ""

    @property
    def through_ssh(self) -> bool:
        """Whether it is reached by ssh."""
        return self.host.startswith("ssh://")


def endpoint(environ: Mapping[str, str] = os.environ) -> Endpoint:
    """The daemon that *environ* and the docker command line's own configuration name.

    Raises:
        BackendError: a context that is not there, or cannot be read.
    """
    if host := environ.get("DOCKER_HOST"):
        verify = bool(environ.get("DOCKER_TLS_VERIFY"))
        folder = environ.get("DOCKER_CERT_PATH", "")
        if verify and not folder:
            folder = _folder(environ)
        return Endpoint(_whole(host), folder, verify, "$DOCKER_HOST")
    name = environ.get("DOCKER_CONTEXT")
    if name is None:
        name = _document(os.path.join(_folder(environ), "config.json")).get("currentContext")
    if not name or name == "default":
        return Endpoint()
    return _context(str(name), _folder(environ))


def _whole(host: str) -> str:
    """*host* with its scheme, as the docker command line reads it."""
    if "://" not in host:
        return f"tcp://{host}"
    return host


def _folder(environ: Mapping[str, str]) -> str:
    home = environ.get("HOME") or os.path.expanduser("~")
    return environ.get("DOCKER_CONFIG") or os.path.join(home, ".docker")


def _context(name: str, folder: str) -> Endpoint:
    """Contexts are kept below the sha256 of their names."""
    import hashlib

    number = hashlib.sha256(name.encode()).hexdigest()
    found = _document(os.path.join(folder, "contexts", "meta", number, "meta.json"))
    told = (found.get("Endpoints") or {}).get("docker") or {}
    if not told.get("Host"):
        raise BackendError(
            NAME, f"the docker context {name!r} is not there", remedy="docker context ls; docker context use default"
        )
    keys = os.path.join(folder, "contexts", "tls", number, "docker")
    certificates = keys if os.path.isdir(keys) else ""
    return Endpoint(str(told["Host"]), certificates, not told.get("SkipTLSVerify"), f"context {name}")


def _document(path: str) -> dict[str, Any]:
    """The JSON object at *path*; empty where there is none.

    Raises:
        BackendError: it is there and cannot be read.
    """
    import json

    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except FileNotFoundError:
        return {}
    except NotADirectoryError:
        return {}
    except (OSError, ValueError) as exc:
        raise BackendError(NAME, f"{path} cannot be read: {exc}", remedy="correct it, or remove it") from exc
    return found if isinstance(found, dict) else {}
