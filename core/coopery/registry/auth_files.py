"""The files in which Docker, Podman and their kin keep logins: where they are, and what stands in them.

Sources: Docker's ``config.json`` (docs.docker.com, "docker login"), containers-auth.json(5).
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from coopery.errors import Problem, UsageError
from coopery.registry.credential import Credential

_MOST: Final = 1 << 22
_HUB_NAMES: Final = ("docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com")


@frozen
class AuthFile:
    """One file.

    Attributes:
        path: where it is.
        auths: entries by host, or host and path, as the file has them but for scheme and API version in old keys.
        helpers: host → name of the helper program that keeps its login.
        store: name of the helper that keeps all others, or empty.
    """

    path: Path
    auths: Mapping[str, Mapping[str, Any]] = field(repr=False)
    helpers: Mapping[str, str]
    store: str

    def credential(self, host: str, repository: str) -> Credential | None:
        """The login that stands in the file itself; that of the longest matching path.

        Raises:
            UsageError: the entry cannot be understood.
        """
        for name in names(host, repository):
            entry = self.auths.get(name)
            if entry and (found := _credential(entry, name, self.path)):
                return found
        return None

    def helper(self, host: str) -> str:
        """Name of the helper for *host* alone, or empty."""
        return next((self.helpers[name] for name in names(host, "") if name in self.helpers), "")


def paths(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Files to look at, in the order in which they are believed; not all of them exist.

    ``REGISTRY_AUTH_FILE`` alone where it is set; else Podman's two ``auth.json`` (that of the session, that of the
    user) and Docker's ``config.json``: the last of them, but the first where ``DOCKER_CONFIG`` names its folder.
    """
    if named := environ.get("REGISTRY_AUTH_FILE"):
        return (Path(named),)
    home = Path(environ.get("HOME") or Path.home())
    session = environ.get("XDG_RUNTIME_DIR")
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    podman = (
        Path(session) / "containers" / "auth.json" if session else Path(f"/run/containers/{os.geteuid()}/auth.json"),
        config / "containers" / "auth.json",
    )
    if docker := environ.get("DOCKER_CONFIG"):
        return (Path(docker) / "config.json", *podman)
    return (*podman, home / ".docker" / "config.json")


def read(path: Path) -> AuthFile | None:
    """The file at *path*; None where there is none. Nothing of its content is ever in a message.

    Raises:
        UsageError: it cannot be read, or is not what it should be.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise _wrong(path, "$", f"cannot be read: {exc.strerror}") from exc
    document = _json(path, data)
    auths = _table(path, document, "auths", dict)
    helpers = _table(path, document, "credHelpers", str)
    store = document.get("credsStore", "")
    if not isinstance(store, str):
        raise _wrong(path, "$.credsStore", "expected the name of a helper")
    return AuthFile(path, {_plain(name): entry for name, entry in auths.items()}, _plain_keys(helpers), store)


def names(host: str, repository: str) -> tuple[str, ...]:
    """Keys that mean *host*, the most special first: with all of the path, with less of it, alone."""
    parts = repository.split("/") if repository else []
    below = [f"{host}/{'/'.join(parts[:count])}" for count in range(len(parts), 0, -1)]
    return (*below, *(_HUB_NAMES if host in _HUB_NAMES else (host,)))


def _json(path: Path, data: bytes) -> dict[str, Any]:
    if len(data) > _MOST:
        raise _wrong(path, "$", f"more than {_MOST} bytes")
    try:
        document = json.loads(data) if data.strip() else {}
    except (ValueError, RecursionError) as exc:
        line = getattr(exc, "lineno", 0)
        # Not `from exc`: that error carries the whole text of the file, logins and all.
        raise _wrong(path, "$", f"not JSON{f', line {line}' if line else ''}") from None
    if not isinstance(document, dict):
        raise _wrong(path, "$", "expected a JSON object")
    return document


def _table(path: Path, document: dict[str, Any], name: str, kind: type) -> dict[str, Any]:
    table = document.get(name)
    if table is None:
        return {}
    if not isinstance(table, dict) or not all(isinstance(value, kind) for value in table.values()):
        raise _wrong(path, f"$.{name}", f"expected an object of {'objects' if kind is dict else 'strings'}")
    return table


def _plain_keys(table: Mapping[str, str]) -> dict[str, str]:
    return {_plain(name): value for name, value in table.items()}


def _plain(name: str) -> str:
    """A key without what old versions of Docker wrote around the host: ``https://host/v1/`` is ``host``."""
    for scheme in ("https://", "http://"):
        if name.startswith(scheme):
            name = name.removeprefix(scheme)
            break
    name = name.rstrip("/")
    for version in ("/v1", "/v2"):
        name = name.removesuffix(version)
    host, slash, path = name.partition("/")
    return f"{host.lower()}{slash}{path}"


def _credential(entry: Mapping[str, Any], name: str, path: Path) -> Credential | None:
    texts = {key: entry.get(key) or "" for key in ("auth", "username", "password", "identitytoken", "registrytoken")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise _wrong(path, f"$.auths[{name!r}]", "expected strings")
    user, password = texts["username"], texts["password"]
    if texts["auth"]:
        user, password = _decoded(texts["auth"], name, path)
    if not (user or password or texts["identitytoken"] or texts["registrytoken"]):
        return None
    return Credential(user, password, texts["identitytoken"], texts["registrytoken"], str(path))


def _decoded(text: str, name: str, path: Path) -> tuple[str, str]:
    try:
        user, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        colon = ""
    if not colon:
        raise _wrong(path, f"$.auths[{name!r}].auth", "expected user:password in base64") from None
    return user, password.strip("\0")


def _wrong(path: Path, place: str, message: str) -> UsageError:
    remedy = "correct the file, or log in anew with docker login or podman login"
    return UsageError(str(Problem(place, message, file=str(path))), remedy=remedy)
