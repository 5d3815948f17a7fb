"""Where wheels come from: indexes and pages of links, by the names that locks give them.

A lock names a source as the definition does, and the default index as ``pypi``; settings turn names into URLs. A URL
with credentials is one of the machine, never of a definition.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

from attrs import field, frozen

from coopery.definition import Pip
from coopery.settings import Settings
from coopery_pip import pip_config

PYPI: Final = "pypi"
"""What a lock calls the index that is meant where a definition names none."""


@frozen
class Source:
    """One place that lists wheels.

    Attributes:
        name: as a lock has it.
        url: where its content is fetched from; may hold credentials, so it is never shown.
        kind: ``index`` has one page for each project, ``links`` one page or folder for all.
    """

    name: str
    url: str = field(repr=False)
    kind: Literal["index", "links"] = "index"

    @property
    def folder(self) -> Path | None:
        """The folder or page on this machine that it is; None for a URL on the network."""
        return local(self.url)


def sources(
    content: Pip, root: Path, settings: Settings, default: Callable[[], str] = pip_config.index_url
) -> tuple[Source, ...]:
    """The sources of one section: its pages of links, its further indexes, and last its main index.

    Args:
        content: the section.
        root: folder that relative paths in it start from.
        settings: may say where the same content is kept.
        default: the index of this machine, asked for only where nothing else names one.
    """
    links = [Source(entry, _place(entry, root, settings), "links") for entry in content.find_links]
    further = [Source(public(url), _place(url, root, settings)) for url in content.extra_index_urls]
    return (*_once(links), *_once([*further, _main(content, root, settings, default)]))


def _main(content: Pip, root: Path, settings: Settings, default: Callable[[], str]) -> Source:
    if content.index_url:
        return Source(public(content.index_url), _place(content.index_url, root, settings))
    return Source(PYPI, _place(settings.index_url or default(), root, settings))


def public(url: str) -> str:
    """*url* as a lock names it: with no slash at its end."""
    return url.rstrip("/") or url


def _place(text: str, root: Path, settings: Settings) -> str:
    """Where the content of *text* is kept: itself, unless settings name a mirror; a path becomes a file URL."""
    spellings = (text, public(text), f"{public(text)}/")
    place = next((settings.indexes[one] for one in spellings if one in settings.indexes), text)
    return place if "://" in place else (Path.cwd() / root / place).resolve().as_uri()


def local(url: str) -> Path | None:
    """The path that a ``file:`` URL names, else None."""
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _once(found: list[Source]) -> tuple[Source, ...]:
    return tuple({source.name: source for source in found}.values())
