"""What a server says about its refusal, made fit to be shown: one line, printable, short, from documented places only.

Sources: OCI distribution spec v1.1, "Error Codes"; RFC 6749, section 5.2 (token servers); RFC 9457 (problem details).
"""

from __future__ import annotations

import http
import json
from typing import Any, Final

MOST: Final = 1 << 16
"""Bytes of a refusal that are read."""

_LONGEST: Final = 300


def complaint(status: int, body: bytes, content_type: str) -> str:
    """``404 Not Found: NAME_UNKNOWN: repository name not known to registry``."""
    said = _said(body, content_type)
    return f"{_phrase(status)}: {said}" if said else _phrase(status)


def _phrase(status: int) -> str:
    try:
        return f"{status} {http.HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _said(body: bytes, content_type: str) -> str:
    kind = content_type.partition(";")[0].strip().lower()
    if kind.endswith("json"):
        return _line(_of_json(body))
    return _line(body.decode("utf-8", "replace")) if kind == "text/plain" else ""


def _of_json(body: bytes) -> str:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(document, dict):
        return ""
    errors = document.get("errors")
    if isinstance(errors, list):
        return "; ".join(filter(None, (_joined(error, "code", "message") for error in errors[:3])))
    return _joined(document, "error", "error_description") or _joined(document, "title", "detail")


def _joined(value: Any, *names: str) -> str:
    texts = [value.get(name) for name in names] if isinstance(value, dict) else []
    return ": ".join(text for text in texts if isinstance(text, str) and text)


def _line(text: str) -> str:
    line = " ".join(text.split())
    shown = "".join(char for char in line if char.isprintable())
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"
