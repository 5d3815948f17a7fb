"""What buildah is told of registries where a Dockerfile's FROM makes it fetch, in its own form.

The settings, where they say something, else this machine's own registries.conf; and of either, that a registry on this
machine's loopback, which core speaks to by plain http, needs no TLS here too.

Source: containers-registries.conf(5).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from coopery.settings import Settings

_LOOPBACK: Final = re.compile(r"(?<![\w.:-])(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?(?=/)")
_VARIABLE: Final = "CONTAINERS_REGISTRIES_CONF"


def on_loopback(texts: Iterable[str]) -> tuple[str, ...]:
    """Registries on this machine, ``host[:port]``, that *texts* name in references, sorted.

    A Dockerfile's other words that look like one do no harm: nobody else can answer there.
    """
    return tuple(sorted({host for text in texts for host in _LOOPBACK.findall(text)}))


def variables(settings: Settings, folder: Path, plain: Collection[str] = ()) -> dict[str, str]:
    """Variables for buildah's environment; the file that they name is written into *folder*.

    Args:
        settings: count instead of the machine's own file, where they say something.
        folder: ours.
        plain: registries that need no TLS, whatever counts.
    """
    told = bool(settings.registries or settings.plain_http)
    text = configuration(settings) if told else _own()
    more = [host for host in plain if json.dumps(host) not in text]
    if not told and not more:
        return {}
    path = folder / "registries.conf"
    path.write_text(text + "\n" + _without_tls(more), encoding="utf-8")
    return {_VARIABLE: str(path)}


def configuration(settings: Settings) -> str:
    """The text of a registries.conf that says what *settings* do. JSON's strings are strings in TOML too."""
    lines = ['unqualified-search-registries = ["docker.io"]']
    for host, mirror in sorted(settings.registries.items()):
        lines += ["[[registry]]", f"prefix = {json.dumps(host)}", f"location = {json.dumps(host)}"]
        lines += ["[[registry.mirror]]", f"location = {json.dumps(_place(mirror))}"]
        lines += ["insecure = true"] if _host(mirror) in settings.plain_http else []
    return "\n".join(lines) + "\n" + _without_tls(h for h in settings.plain_http if h not in settings.registries)


def _without_tls(hosts: Iterable[str]) -> str:
    return "".join(f"[[registry]]\nlocation = {json.dumps(host)}\ninsecure = true\n" for host in hosts)


def _own() -> str:
    """The file that counts on this machine; files beside it, in ``registries.conf.d``, count whatever is named."""
    told = os.environ.get(_VARIABLE)
    user = Path(os.path.expanduser("~/.config/containers/registries.conf"))
    for path in (Path(told),) if told else (user, Path("/etc/containers/registries.conf")):
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue
    return ""


def _place(mirror: str) -> str:
    """``host[:port][/path]``, without scheme and login: logins are found where containers' tools look for them."""
    return (mirror.partition("://")[2] or mirror).rpartition("@")[2]


def _host(mirror: str) -> str:
    return _place(mirror).partition("/")[0]
