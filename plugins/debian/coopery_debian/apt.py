"""apt's configuration on this machine, as far as it says where Debian is fetched from. Read, never written.

Both forms are read: one line (``deb [signed-by=…] http://… bookworm main``) and deb822 (``URIs:``, ``Suites:``).
Source: sources.list(5), apt.conf(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attrs import frozen

from coopery_debian.control import paragraphs

APT: Final = Path("/etc/apt")

_ONE_LINE: Final = re.compile(
    r"deb\s+(?:\[(?P<options>[^\]]*)\]\s*)?(?P<uri>\S+)\s+(?P<suite>\S+)\s*(?P<components>.*)"
)
_PROXY: Final = re.compile(r'^\s*Acquire::(https?)::Proxy\s+"([^"]*)"\s*;', re.MULTILINE | re.IGNORECASE)


@frozen
class Source:
    """One place that apt fetches packages from.

    Attributes:
        uri: as written, without a slash at its end.
        suites, components: as written.
        signed_by: paths of keyrings, fingerprints, or one armored key; empty when not stated.
    """

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""


def read_sources(apt: Path = APT) -> tuple[Source, ...]:
    """All sources of binary packages, in apt's order: ``sources.list``, then ``sources.list.d`` by name."""
    folder = apt / "sources.list.d"
    parts = sorted(folder.iterdir()) if folder.is_dir() else []
    found: list[Source] = []
    for path in (apt / "sources.list", *parts):
        text = _text(path) if path.suffix in (".list", ".sources") else ""
        found.extend(_deb822(text) if path.suffix == ".sources" else _one_line(text))
    return tuple(found)


def read_proxies(apt: Path = APT) -> dict[str, str]:
    """``{"http": "http://proxy:3142"}``: the plain ``Acquire::http::Proxy "…";`` lines; ``DIRECT`` is no proxy."""
    folder = apt / "apt.conf.d"
    parts = sorted(folder.iterdir()) if folder.is_dir() else []
    proxies: dict[str, str] = {}
    for path in (*parts, apt / "apt.conf"):
        for scheme, proxy in _PROXY.findall(_text(path)):
            proxies[scheme.lower()] = proxy
    return {scheme: proxy for scheme, proxy in proxies.items() if proxy and proxy.upper() != "DIRECT"}


def _text(path: Path) -> str:
    """Content of a file of apt's; one that is absent or that this user may not read says nothing."""
    try:
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    except OSError:
        return ""


def _one_line(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        found = _ONE_LINE.fullmatch(line.partition("#")[0].strip())
        if found is None:
            continue
        options = dict(option.partition("=")[::2] for option in (found["options"] or "").split())
        signed_by = options.get("signed-by", "").replace(",", " ")
        for uri in _expand(found["uri"]):
            yield Source(uri, (found["suite"],), tuple(found["components"].split()), signed_by)


def _deb822(text: str) -> Iterator[Source]:
    for raw in paragraphs(text):
        fields = {name.lower(): value for name, value in raw.items()}
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        suites, components = fields.get("suites", "").split(), fields.get("components", "").split()
        for written in fields.get("uris", "").split():
            for uri in _expand(written):
                yield Source(uri, tuple(suites), tuple(components), fields.get("signed-by", "").strip())


def _expand(uri: str) -> Iterator[str]:
    """``mirror+file:/etc/apt/mirrors/debian.list`` (Debian's cloud images have it) names a file with one URI a line."""
    if uri.startswith("mirror+file:"):
        listed = (line.split() for line in _text(Path(uri.removeprefix("mirror+file:"))).splitlines())
        yield from (words[0].rstrip("/") for words in listed if words and not words[0].startswith("#"))
    else:
        yield uri.rstrip("/")
