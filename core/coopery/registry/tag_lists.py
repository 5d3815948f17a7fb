"""The tags of a repository, a page at a time, from wherever in their order. Spec: "Listing Tags"."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

from coopery.errors import IntegrityError
from coopery.registry.endpoint import Endpoint
from coopery.registry.pages import pages

_MISSING: Final = 404
_MOST: Final = 64 << 20
"""Bytes of a page. A registry without pages (distribution 2.8) gives all tags at once, in no order."""


def tag_pages(endpoint: Endpoint, after: str = "") -> Iterator[list[str]]:
    """The tags that follow *after*, as far as the registry honours that; none where there is no such repository.

    Raises:
        NetworkError: the registry could not be asked.
        IntegrityError: its answer is malformed.
    """
    path = f"tags/list?n=1000&last={quote(after, safe='')}" if after else "tags/list?n=1000"
    for page in pages(endpoint, path, accept=(200, _MISSING), limit=_MOST):
        if page.status == _MISSING:
            return
        yield _tags(page.data, f"{endpoint.name}: tags")


def _tags(data: bytes, where: str) -> list[str]:
    try:
        answer: Any = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise IntegrityError(f"{where}: no JSON") from exc
    found = answer.get("tags") if isinstance(answer, dict) else ()
    if found is not None and not isinstance(found, list):
        raise IntegrityError(f"{where}: expected a list of tags")
    return [tag for tag in found or () if isinstance(tag, str)]
