"""The settings as people see them: each value, where it came from, and for which hosts a login is known."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import fields, frozen

from coopery.redact import masked
from coopery.settings.known import NAMES, TABLES
from coopery.settings.reading import SYSTEM, candidates
from coopery.settings.values import Settings

DEFAULT: Final = "default"
GIVEN: Final = "given by the caller"

_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@frozen
class Value:
    """One setting, or one entry of a table. Users and passwords in URLs are masked.

    Attributes:
        name: ``proxy``, or ``channels.conda-forge``.
        value: a string, or a list of strings.
        origin: ``file:line``, ``$VARIABLE``, ``default``, or that the caller gave it.
    """

    name: str
    value: str | tuple[str, ...]
    origin: str


@frozen
class File:
    """One file that was looked at; ``found`` says whether it was there."""

    path: str
    found: bool


@frozen
class Access:
    """Whether a login for *host* is known, and where it was found; never the login itself. ``of`` says what for."""

    host: str
    of: str
    found: str


@frozen
class Report:
    """All that `coopery settings` shows; ``promise`` is what the cache store says of itself, where it is less."""

    values: tuple[Value, ...]
    files: tuple[File, ...]
    logins: tuple[Access, ...]
    promise: str = ""


def report(
    settings: Settings, environ: Mapping[str, str] = os.environ, cwd: Path | None = None, *, system: Path = SYSTEM
) -> Report:
    """Show *settings*. Nothing is fetched, and no helper program is run.

    Raises:
        SettingsError: the netrc file cannot be read.
        UsageError: a file of Docker's or Podman's cannot be read.
    """
    files = tuple(
        File(str(path), os.path.isfile(path)) for path in candidates(environ, cwd or Path.cwd(), system=system)
    )
    values = (*_values(settings), *_proxies(settings, environ))
    return Report(values, files, tuple(sorted(set(_logins(settings, environ)), key=lambda one: (one.of, one.host))))


def _values(settings: Settings) -> Iterator[Value]:
    defaults = {one.name: one.default for one in fields(Settings)}
    for name in NAMES:
        value: Any = getattr(settings, name)
        if name in TABLES:
            for key, place in sorted(value.items()):
                yield Value(f"{name}.{key}", masked(place), settings.origins.get(f"{name}.{key}", GIVEN))
            if value:
                continue
            value = ""
        usual = not value or value == defaults[name]
        shown = tuple(map(masked, value)) if isinstance(value, tuple) else masked(str(value))
        yield Value(name, shown, settings.origins.get(name, _unsaid(name, usual=usual)))


def _unsaid(name: str, *, usual: bool) -> str:
    return DEFAULT if usual or name == "home" else GIVEN


def _proxies(settings: Settings, environ: Mapping[str, str]) -> Iterator[Value]:
    """What counts where the settings name no proxy."""
    if settings.proxy:
        return
    for upper in _PROXIES:
        for name in (upper.lower(), upper):
            if value := environ.get(name):
                yield Value(name, masked(value if "://" in value or "@" not in value else f"//{value}"), f"${name}")


def _logins(settings: Settings, environ: Mapping[str, str]) -> Iterator[Access]:
    from coopery.wire.login import in_netrc, in_url, netrc_hosts

    for name, url in _urls(settings):
        try:
            parts = urlsplit(url)
        except ValueError:
            continue
        if parts.scheme in ("http", "https") and parts.hostname:
            host = parts.netloc.rpartition("@")[2]
            credential = in_url(url) or (in_netrc(parts.hostname.lower(), "", environ) if name != "proxy" else None)
            token = "its URL" if masked(parts.path) != parts.path else ""
            yield Access(host, name, credential.found if credential else token)
    for host, path in netrc_hosts(environ):
        yield Access(host, "netrc", path)
    yield from _registries(environ)


def _registries(environ: Mapping[str, str]) -> Iterator[Access]:
    from coopery.registry.credentials import Credentials

    for file in Credentials(environ).files():
        yield from (Access(host, "registry", str(file.path)) for host, entry in file.auths.items() if entry)
        for host, helper in file.helpers.items():
            yield Access(host, "registry", f"docker-credential-{helper}")
        if file.store:
            yield Access("all others", "registry", f"docker-credential-{file.store}")


def _urls(settings: Settings) -> Iterable[tuple[str, str]]:
    for name in ("channel_alias", "index_url", "debian_mirror", "proxy"):
        yield name, getattr(settings, name)
    for name in ("channels", "indexes"):
        yield from ((name, url) for url in getattr(settings, name).values())
