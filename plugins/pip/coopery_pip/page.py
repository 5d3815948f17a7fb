"""What an index page lists: files, each with its URL and hash.

Source: "simple repository API" of the Python Packaging User Guide: HTML (PEP 503, 592, 629, 658) and JSON (PEP 691,
700). Pages are written by strangers: a file whose name could be a path, or whose URL leads to this machine, is left
out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import unquote, urljoin, urlsplit

from attrs import frozen

ACCEPT: Final = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"
_JSON: Final = "application/vnd.pypi.simple.v1+json"
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+!-]*")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_REMOTE: Final = ("http", "https")


@frozen
class Link:
    """One file that a page lists.

    Attributes:
        file_name: never with a slash or a leading dot.
        url: absolute, without fragment.
        sha256: empty where the page gives none.
        size: bytes; None where the page does not say.
        requires_python: a version specifier, or empty.
        yanked: taken back by its author.
    """

    file_name: str
    url: str
    sha256: str = ""
    size: int | None = None
    requires_python: str = ""
    yanked: bool = False


def parse(data: bytes, content_type: str, url: str) -> tuple[Link, ...]:
    """The files of one page, in its order.

    Args:
        data: the page.
        content_type: as the server gave it.
        url: where the page was found, which relative URLs start from.

    Raises:
        ValueError: the page is not in a form of the simple API.
    """
    kind = content_type.partition(";")[0].strip().lower()
    links = _json(data, url) if kind in (_JSON, "application/json") else _html(data, url)
    return tuple(links)


def _json(data: bytes, base: str) -> Iterator[Link]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise ValueError(f"no JSON: {exc}") from exc
    files = document.get("files") if isinstance(document, dict) else None
    if not isinstance(files, list):
        raise ValueError("expected an object with a list 'files'")
    for entry in files:
        if not isinstance(entry, dict) or not isinstance(entry.get("url"), str):
            raise ValueError(f"expected a file with a URL, got {str(entry)[:80]!r}")
        hashes = entry.get("hashes")
        size = entry.get("size")
        yield from _link(
            str(entry.get("filename")),
            urljoin(base, entry["url"]),
            base,
            sha256=str(hashes.get("sha256", "")) if isinstance(hashes, dict) else "",
            size=size if isinstance(size, int) and size >= 0 else None,
            requires_python=str(entry.get("requires-python") or ""),
            yanked=bool(entry.get("yanked")),
        )


def _html(data: bytes, base: str) -> Iterator[Link]:
    reader = _Anchors()
    reader.feed(data.decode("utf-8", "replace"))
    reader.close()
    top = urljoin(base, reader.base)
    for found in reader.anchors:
        address, _, fragment = urljoin(top, found["href"]).partition("#")
        name, _, value = fragment.partition("=")
        yield from _link(
            unquote(urlsplit(address).path.rpartition("/")[2]),
            address,
            base,
            sha256=value if name == "sha256" else "",
            requires_python=found.get("data-requires-python", ""),
            yanked="data-yanked" in found,
        )


def _link(file_name: str, url: str, base: str, *, sha256: str, **rest: Any) -> Iterator[Link]:
    scheme = urlsplit(url).scheme
    allowed = scheme in _REMOTE or (scheme == "file" and urlsplit(base).scheme == "file")
    if allowed and _FILE_NAME.fullmatch(file_name):
        known = sha256.lower()
        address = url.partition("#")[0]
        yield Link(file_name, address, known if _SHA256.fullmatch(known) else "", **rest)


class _Anchors(HTMLParser):
    """Every ``<a href>`` with its attributes, and ``<base href>``."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.base = ""
        self.anchors: list[dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One tag begins."""
        found = {name: value or "" for name, value in attrs}
        if tag == "a" and found.get("href"):
            self.anchors.append(found)
        elif tag == "base" and not self.base:
            self.base = found.get("href", "")
