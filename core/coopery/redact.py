"""Masking secrets in text that is kept or shown, in each form that tools commonly print them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from coopery.errors import CooperyError
    from coopery.events import Event

MASK: Final = "***"
_SHORTEST: Final = 4
"""Values shorter than this many characters are masked only as themselves: their encodings are ordinary text."""


_USER: Final = re.compile(r"(?<=//)[^/?#\s]*(?=@)")
_TOKEN: Final = re.compile(r"(?<=/t/)[^/?#\s'\"]+")
_QUERY: Final = re.compile(
    r"(?<=[?&])([A-Za-z0-9_.-]*(?:token|key|secret|password|passwd|signature|sig)=)[^&#\s'\"]+", re.IGNORECASE
)


def masked(text: str) -> str:
    """*text* with what URLs in it say of users masked: user and password, ``/t/<token>``, tokens in queries."""
    if "/" not in text:
        return text
    return _QUERY.sub(rf"\1{MASK}", _TOKEN.sub(MASK, _USER.sub(MASK, text)))


def secrets_in(url: str) -> set[str]:
    """The password and the tokens in *url*, as written and decoded."""
    found = {match[0].partition(":")[2] or match[0] for match in _USER.finditer(url)}
    found |= {match[0] for match in _TOKEN.finditer(url)}
    found |= {match[0].partition("=")[2] for match in _QUERY.finditer(url)}
    return {form for text in found if text for form in (text, unquote(text))}


class Redactor:
    """Replaces *secrets*, plain and encoded (base64 at each alignment, hex, percent, JSON), by ``***``."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if secret for form in _forms(secret)}
        self._forms = sorted(forms, key=lambda form: (-len(form), form))  # the longest first: one may hold another

    def __call__(self, text: str) -> str:
        """*text* with every form of every secret masked."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text

    @property
    def longest(self) -> int:
        """Characters of the longest form of a secret; 0 where there is none."""
        return len(self._forms[0]) if self._forms else 0

    def cut(self, text: str, at: int) -> int:
        """Where to cut *text*, near *at*, so that no form of a secret is cut in two: both parts are masked as one.

        Forms must be whole: where *text* goes on, it is to be given with twice `longest` characters after *at*.

        Returns:
            *at*, or where the form that lies across it begins; where it ends, if it begins with *text*.
        """
        masked = bytearray(len(text))  # as `__call__` does it: the longest first, and nothing twice
        for form in self._forms:
            start = text.find(form)
            while start >= 0:
                end = start + len(form)
                free = masked.find(1, start, end) < 0
                if free and start < at < end:
                    return start or end
                if free:
                    masked[start:end] = b"\1" * len(form)
                start = text.find(form, end if free else start + 1)
        return at

    def event(self, event: Event) -> Event:
        """*event* with every text in it masked."""
        changes = self._changes(vars(event))
        return event.replace(**changes) if changes else event

    def error(self, error: CooperyError) -> None:
        """Mask every text that *error* carries."""
        vars(error).update(self._changes(vars(error)))
        error.args = self._plain(error.args)

    def _changes(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        if not self._forms:
            return {}
        return {name: masked for name, value in fields.items() if (masked := self._plain(value)) != value}

    def _plain(self, value: Any) -> Any:
        if isinstance(value, str):
            return self(value)
        return tuple(map(self._plain, value)) if isinstance(value, tuple) else value


def _forms(secret: str) -> set[str]:
    lines = {line for line in secret.splitlines() if len(line) >= _SHORTEST}  # logs are cut into lines
    if len(secret) < _SHORTEST:
        return {secret}
    data = secret.encode(errors="surrogatepass")
    percent = "".join(
        chr(byte) if (byte < 128 and chr(byte).isalnum()) or byte in b"-._~" else f"%{byte:02X}" for byte in data
    )
    return {
        secret,
        secret.strip() or secret,
        *lines,
        data.hex(),
        data.hex().upper(),
        percent,
        json.dumps(secret)[1:-1],
        *_base64(data),
    }


def _base64(data: bytes) -> set[str]:
    """What is common to all base64 texts that hold *data* at any of the three alignments, in both alphabets."""
    found: set[str] = set()
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + data).decode().rstrip("=")
        # The characters at the ends also depend on the neighbours; what lies between is the secret's alone.
        start = (0, 2, 3)[shift]
        end = len(text) - (1 if (shift + len(data)) % 3 else 0)
        if end - start >= _SHORTEST:
            found.update((text[start:end], text[start:end].replace("+", "-").replace("/", "_")))
    return found
