"""What can stand at either end of a copy: a store's URL, a cache folder, a bundle's file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from attrs import frozen

from coopery.errors import UsageError
from coopery.events import Warned
from coopery.home import Home

if TYPE_CHECKING:
    from coopery.build import Builder
    from coopery.cache import Cache

_URL: Final = re.compile(r"[a-z][a-z0-9+-]+:")
_SUFFIXES: Final = (".tar", ".tar.zst", ".tar.gz")

Kind = Literal["store", "home", "bundle"]


@frozen
class End:
    """One end. ``path`` is a folder or file; ``url`` a store's."""

    kind: Kind
    url: str = ""
    path: Path | None = None

    def __str__(self) -> str:
        return self.url or str(self.path or "home:")


def parse(text: str) -> End:
    """What *text* names.

    ``home:`` is the builder's own cache folder; ``home:/path`` and a folder are others; ``bundle:/path`` and a file
    whose name ends as a tar's are bundles; any other URL is a store's.

    Raises:
        UsageError: none of these.
    """
    scheme, _, rest = text.partition(":")
    if scheme == "home":
        return End("home", path=_absolute(rest) if rest else None)
    if scheme == "bundle":
        if not rest:
            raise UsageError(f"{text}: name the file: bundle:/path/file.tar.zst")
        return End("bundle", path=_absolute(rest))
    if _URL.match(text):
        return End("store", url=text)
    path = _absolute(text)
    if path.is_dir() or text.endswith("/"):
        return End("home", path=path)
    if text.endswith(_SUFFIXES):
        return End("bundle", path=path)
    raise UsageError(
        f"{text!r}: neither a store, nor a cache folder, nor a bundle",
        remedy="write a store's URL (sqlite:, directory:/path), home:FOLDER, or a file that ends in .tar or .tar.zst",
    )


@contextmanager
def records(end: End, builder: Builder) -> Iterator[Cache]:
    """The store of records at *end*: the builder's own where that is meant; opened, and closed, where it is another.

    Raises:
        UsageError, PluginError: there is no such store.
    """
    if end.kind == "home" and end.path in (None, builder.home.root):
        yield builder.cache
        return
    opened = _open(builder, end.url or "sqlite:", end.path or builder.home.root)
    try:
        yield opened
    finally:
        opened.close()


def _open(builder: Builder, url: str, folder: Path) -> Cache:
    from coopery.stores import open_cache

    def notice(message: str) -> None:
        builder.emit(Warned(message=message))

    return open_cache(url, folder, notice=notice, registered=lambda: builder.plugins_loaded.caches().values())


def home(end: End, builder: Builder) -> Home:
    """The cache folder at *end*."""
    return Home(end.path) if end.path is not None else builder.home


def _absolute(text: str) -> Path:
    return Path(text).expanduser().absolute()
