"""Masking secrets in text that is kept or shown, in each form that tools commonly print them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Final

MASK: Final = "***"
_SHORTEST: Final = 4
"""Values shorter than this many characters are masked only as themselves: their encodings are ordinary text."""


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
