"""Logins for tests: in a Docker configuration of their own, or given away to whoever asks."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path

from coopery.registry import Credentials
from coopery.registry.credential import Credential

CANARY = "cAnArY-7f3a"


def environment(folder: Path) -> dict[str, str]:
    """No file but those below *folder* is ever looked at."""
    names = ("HOME", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME")
    return {name: str(folder) for name in names}


def credentials(folder: Path, hosts: Mapping[str, tuple[str, str]]) -> Credentials:
    """Logins by host, as ``docker login`` writes them."""
    auths = {host: {"auth": base64.b64encode(":".join(login).encode()).decode()} for host, login in hosts.items()}
    (folder / "config.json").write_text(json.dumps({"auths": auths}))
    return Credentials(environment(folder))


class Careless(Credentials):
    """Has the same login for everybody: whoever gets to ask, gets it."""

    def find(self, host: str, repository: str = "") -> Credential:  # noqa: ARG002 - whoever asks
        return Credential("me", CANARY)
