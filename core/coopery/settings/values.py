"""The settings as values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen


def _masked(value: Any) -> str:
    from coopery.redact import masked

    return masked(repr(value))


@frozen
class Settings:
    """What the outside world looks like from here.

    URLs may carry a user and a password; neither `repr` nor a message shows them.

    Attributes:
        home: cache folder; ``$XDG_CACHE_HOME/coopery`` unless set.
        cache: the cache store, as ``Builder(cache=…)`` takes it.
        leases: the store that agrees on who builds, as ``Builder(leases=…)`` takes it; empty: the cache store itself.
        backend: name of the backend to build with; empty: the default.
        channels: bare channel name → URL or folder that has the same content, ``{"conda-forge": "file:///srv/cf"}``.
        channel_alias: URL that bare channel names are below.
        index_url: the Python package index that is meant where a definition names none; empty: pip's own
            configuration on this machine, else what pip itself would use.
        indexes: URL of an index as definitions name it → URL that has the same content.
        registries: registry host as references name it → ``host[:port][/path]`` that has the same content. What a
            mirror gives is checked by digest; it is never pushed to.
        plain_http: registries, ``host[:port]``, that are spoken to without TLS. Loopback addresses always may be.
        debian_mirror: URL of a Debian mirror; empty: the machine's own apt configuration.
        ca_bundle: file of certificates to trust; empty: the system's.
        proxy: URL of a proxy for http and https; empty: ``HTTPS_PROXY`` and ``HTTP_PROXY`` as other tools read them.
        no_proxy: hosts that are reached without it, by comma; empty: ``NO_PROXY``.
        compression: of layers that are pushed: ``gzip``, which every engine reads, or ``zstd``.
        moved_base: what to do where the tag of a base has moved since the first build: ``keep`` what was recorded,
            or ``rebuild``.
        trusted_projects: folders; a ``.coopery.toml`` in or below one may set everything.
        origins: setting → where its value came from: ``file:line`` or ``$VARIABLE``. Entries of tables by
            ``channels.conda-forge``. What is not there has its default.
    """

    home: Path
    cache: str = field(default="sqlite:", repr=_masked)
    leases: str = field(default="", repr=_masked)
    backend: str = ""
    channels: Mapping[str, str] = field(factory=dict, hash=False, repr=_masked)
    channel_alias: str = field(default="https://conda.anaconda.org", repr=_masked)
    index_url: str = field(default="", repr=_masked)
    indexes: Mapping[str, str] = field(factory=dict, hash=False, repr=_masked)
    registries: Mapping[str, str] = field(factory=dict, hash=False, repr=_masked)
    plain_http: tuple[str, ...] = ()
    debian_mirror: str = field(default="", repr=_masked)
    ca_bundle: str = ""
    proxy: str = field(default="", repr=_masked)
    no_proxy: str = ""
    compression: str = "gzip"
    moved_base: str = "keep"
    trusted_projects: tuple[str, ...] = ()
    origins: Mapping[str, str] = field(factory=dict, hash=False, eq=False, repr=False)

    def channel_url(self, channel: str) -> str:
        """Where the content of *channel*, as a definition names it, is fetched from.

        A bare name has one meaning everywhere (a folder below ``channel_alias``), unless ``channels`` says where the
        same content is kept. A URL is itself.
        """
        if channel in self.channels:
            return self.channels[channel]
        if "://" in channel:
            return channel
        return f"{self.channel_alias.rstrip('/')}/{channel}"

    def secrets(self) -> tuple[str, ...]:
        """Every password and token in a URL of these settings, as written and decoded, for a `Redactor`."""
        from coopery.redact import secrets_in

        return tuple(sorted({secret for url in self._urls() for secret in secrets_in(url)}))

    def _urls(self) -> Iterator[str]:
        yield from (self.channel_alias, self.index_url, self.debian_mirror, self.proxy, self.cache, self.leases)
        for table in (self.channels, self.indexes, self.registries):
            yield from table.values()
