"""What buildah is told of registries where a Dockerfile's FROM makes it fetch: the settings, in its own form.

Only where the settings say something: else this machine's own registries.conf counts.

Source: containers-registries.conf(5).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coopery.settings import Settings


def variables(settings: Settings, folder: Path) -> dict[str, str]:
    """Variables for buildah's environment; the file that they name is written into *folder*."""
    if not settings.registries and not settings.plain_http:
        return {}
    path = folder / "registries.conf"
    path.write_text(configuration(settings), encoding="utf-8")
    return {"CONTAINERS_REGISTRIES_CONF": str(path)}


def configuration(settings: Settings) -> str:
    """The text of a registries.conf that says what *settings* do. JSON's strings are strings in TOML too."""
    lines = ['unqualified-search-registries = ["docker.io"]']
    for host, mirror in sorted(settings.registries.items()):
        lines += ["[[registry]]", f"prefix = {json.dumps(host)}", f"location = {json.dumps(host)}"]
        lines += ["[[registry.mirror]]", f"location = {json.dumps(_place(mirror))}"]
        lines += ["insecure = true"] if _host(mirror) in settings.plain_http else []
    for host in settings.plain_http:
        if host not in settings.registries:
            lines += ["[[registry]]", f"location = {json.dumps(host)}", "insecure = true"]
    return "\n".join(lines) + "\n"


def _place(mirror: str) -> str:
    """``host[:port][/path]``, without scheme and login: logins are found where containers' tools look for them."""
    return (mirror.partition("://")[2] or mirror).rpartition("@")[2]


def _host(mirror: str) -> str:
    return _place(mirror).partition("/")[0]
