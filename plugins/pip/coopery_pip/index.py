"""What sources list, asked over the simple API or read from a folder, each page once."""

from __future__ import annotations

import re
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from packaging.utils import canonicalize_name

from coopery.errors import NetworkError, PackageError
from coopery.wire.origin import shown
from coopery_pip import page
from coopery_pip.page import Link
from coopery_pip.sources import Source, local

if TYPE_CHECKING:
    from coopery.wire.http import Http
    from coopery.wire.origin import Login

_MAX_PAGE: Final = 64 << 20
"""Bytes of one page; the longest on PyPI has some 30 million."""

_ABSENT: Final = (404, 410)
_ARCHIVE: Final = re.compile(r".+\.(whl|tar\.gz|zip|tar\.bz2|tgz|tar\.xz)")


class Indexes:
    """Pages of sources. Thread-safe; a page is asked for once.

    Args:
        http: core's transport.
        login: credentials for the sources' hosts.
    """

    def __init__(self, http: Http, login: Login | None = None) -> None:
        self._http = http
        self._login = login
        self._pages: dict[str, tuple[Link, ...]] = {}
        self._lock = Lock()

    def links(self, source: Source, project: str) -> tuple[Link, ...]:
        """The files of *project* (any spelling) that *source* lists; empty where it does not have it.

        Raises:
            NetworkError: the source does not answer.
            PackageError: its page is in no form of the simple API.
        """
        name = canonicalize_name(project)
        if source.kind == "index":
            return self._page(f"{source.url.rstrip('/')}/{name}/", flat=False)
        return tuple(link for link in self._page(source.url, flat=True) if _is_of(link, name))

    def _page(self, url: str, *, flat: bool) -> tuple[Link, ...]:
        with self._lock:
            known = self._pages.get(url)
        if known is None:
            path = local(url)
            known = _local(path, flat=flat) if path is not None else self._remote(url)
            with self._lock:
                self._pages[url] = known
        return known

    def _remote(self, url: str) -> tuple[Link, ...]:
        tries = self._http.tries()
        while True:
            try:
                with self._http.open("GET", url, headers={"Accept": page.ACCEPT}, login=self._login) as answer:
                    return page.parse(answer.whole(_MAX_PAGE), answer.headers.get("Content-Type", ""), answer.url)
            except NetworkError as exc:
                if exc.status in _ABSENT:
                    return ()
                tries.failed(exc)
            except ValueError as exc:
                raise PackageError(shown(url), f"is no page of a package index: {exc}") from exc


def _local(path: Path, *, flat: bool) -> tuple[Link, ...]:
    """A folder of archives; a project's folder in an index may have an ``index.html`` instead, unless *flat*."""
    try:
        if path.is_dir():
            index = path / "index.html"
            if not flat and index.is_file():
                return page.parse(_read(index), "text/html", index.as_uri())
            files = sorted(entry for entry in path.iterdir() if _ARCHIVE.fullmatch(entry.name) and entry.is_file())
            return tuple(Link(file.name, file.as_uri(), size=file.stat().st_size) for file in files)
        return ()
    except OSError as exc:
        raise PackageError(str(path), f"cannot be read: {exc.strerror}") from exc


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MAX_PAGE)


def _is_of(link: Link, name: str) -> bool:
    """Whether the file's name begins with that of the project, up to its version."""
    stem = link.file_name.partition("-")[0] if link.file_name.endswith(".whl") else link.file_name.rpartition("-")[0]
    return canonicalize_name(stem) == name
