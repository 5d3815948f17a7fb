"""References to images: ``[host[:port]/]repository[:tag][@digest]``.

Source: the grammar in the distribution project's ``reference`` package, which Docker, Podman and containerd share.
"""

from __future__ import annotations

import re
from typing import Final

from coopery.read.grammar import no_credentials
from coopery.read.node import quoted
from coopery.read.pattern import Pattern
from coopery.read.reading import Mistake

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_NAME = rf"(?:{_HOST}/)?{_COMPONENT}(?:/{_COMPONENT})*"
_REFERENCE: Final = Pattern(
    rf"(?P<name>{_NAME})(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}}))?(?:@(?P<digest>sha256:[0-9a-f]{{64}}))?"
)
_BARE_ID: Final = Pattern(r"[0-9a-f]{64}")
_LONGEST_NAME: Final = 255
_SHAPE: Final = "an image reference, [host/]repository[:tag][@sha256:…]"


def image_reference(text: str) -> str:
    """An image by reference.

    Raises:
        Mistake: it does not follow the grammar, or an engine would take it for something else.
    """
    match = _REFERENCE.fullmatch(text) if len(text) <= 1024 else None
    if match is None:
        no_credentials(text)
        raise Mistake(f"expected {_SHAPE}, found {quoted(text)}", _way_out(text))
    if len(match["name"]) > _LONGEST_NAME:
        raise Mistake(f"expected a repository of at most {_LONGEST_NAME} characters, found {len(match['name'])}")
    if _BARE_ID.fullmatch(match["name"]):
        raise Mistake(
            f"expected {_SHAPE}, found a bare image id", "only one machine knows an id: write repository@sha256:…"
        )
    return text


def _way_out(text: str) -> str:
    scheme, _, rest = text.partition("://")
    if rest and _REFERENCE.fullmatch(rest):
        return f"leave {scheme}:// away: write {rest}"
    name = re.split(r"[@]|:(?=[^/]*$)", text)[0]
    if name != name.lower() and _REFERENCE.fullmatch(text.replace(name, name.lower(), 1)):
        return f"repositories are in lower case: write {text.replace(name, name.lower(), 1)}"
    if "${" in text or "{{" in text:
        return "variables are not filled in here: render the file first"
    return "like ubuntu:24.04"
