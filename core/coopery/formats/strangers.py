"""Files that people try and that are in none of the formats: what each is, and what writes one that is."""

from __future__ import annotations

import os
import re
from typing import Final

from coopery.lockfile import FILE_TAG

_NAMED: Final = {
    "uv.lock": "it names no platform's wheels: `uv export --format pylock.toml -o pylock.toml` writes those",
    "poetry.lock": "`poetry export -o requirements.txt` writes requirements with hashes",
    "pdm.lock": "`pdm export -o requirements.txt` writes requirements with hashes",
    "Pipfile.lock": "`pipenv requirements --hash > requirements.txt` writes requirements with hashes",
}
"""By the name that their tool gives them."""

_ALIKE: Final = (
    (
        re.compile(rf"^lock-file: {re.escape(FILE_TAG)}$", re.MULTILINE),
        "it is Coopery's own: `coopery build --lock FILE`",
    ),
    (re.compile(r"^(base|dependencies):", re.MULTILINE), "it says what is wanted, and not which exact packages"),
    (
        re.compile(r"^[A-Za-z0-9][\w.-]*(\[[\w., -]*\])?\s*[=<>!~]=", re.MULTILINE),
        "requirements without hashes: `uv pip compile --generate-hashes`, or pip-compile's, writes them",
    ),
)
"""By their text."""


def is_stranger(file: str) -> bool:
    """Whether *file* is named as only another tool names it, whatever its text looks like."""
    return os.path.basename(file) in _NAMED


def way_out(file: str, text: str) -> str:
    """What to do with *file*, which no format fits; empty where nothing is known of it."""
    named = _NAMED.get(os.path.basename(file), "")
    return named or next((remedy for sign, remedy in _ALIKE if sign.search(text)), "")
