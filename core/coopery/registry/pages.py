"""Long lists come in pages, each naming the next in a ``Link`` header. Source: RFC 8288; spec: "Listing Tags"."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

from attrs import frozen

from coopery.errors import NetworkError
from coopery.oci.document import MAX_BYTES
from coopery.registry.endpoint import Endpoint
from coopery.wire.answer import Answer

_NEXT = re.compile(r'<([^<>]*)>\s*;\s*(?:[^,]*;\s*)?rel="?next"?', re.IGNORECASE)
_MOST: Final = 200
_LONGEST: Final = 8_192


@frozen
class Page:
    """One page."""

    status: int
    media_type: str
    data: bytes


def pages(endpoint: Endpoint, path: str, accept: Collection[int] = (200,), *, limit: int = MAX_BYTES) -> Iterator[Page]:
    """The page at *path* below the repository, and those that follow; each of at most *limit* bytes.

    Raises:
        NetworkError: one cannot be had, there are more than 200, or the next one is on another host: a list does not
            go on elsewhere.
    """
    url = endpoint.url(path)
    for _ in range(_MOST):
        with endpoint.open("GET", url, accept=accept) as answer:
            kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
            page = Page(answer.status, kind, answer.whole(limit))
            following = _following(endpoint, answer)
        yield page
        if following is None:
            return
        url = following
    raise NetworkError(endpoint.url(path), f"more than {_MOST} pages")


def _following(endpoint: Endpoint, answer: Answer) -> str | None:
    named = _NEXT.search(answer.headers.get("Link", "")[:_LONGEST])
    if named is None or answer.status != 200:
        return None
    try:
        there = answer.address.join(named[1])
    except ValueError as exc:
        raise NetworkError(answer.address.shown, f"its next page is no URL: {exc}") from exc
    if there.origin.host != endpoint.origin.host:
        raise NetworkError(answer.address.shown, f"its next page is on another host, {there.origin.host}")
    return f"{endpoint.origin}{there.target}"
