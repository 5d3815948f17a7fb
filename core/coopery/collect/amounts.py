"""Sizes and times as people type them: ``20GB``, ``1.5GiB``, ``30d``. A number without a unit is refused."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from coopery.errors import UsageError

_SIZES: Final = {
    "B": 1,
    **{f"{letter}B": 1000**power for power, letter in enumerate("kMGT", 1)},
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGT", 1)},
}
_TIMES: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AMOUNT: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([A-Za-z]+)", re.ASCII)


def size(text: str) -> int:
    """Bytes: a number and one of B, kB, MB, GB, TB (thousands) or KiB, MiB, GiB, TiB.

    Raises:
        UsageError: another form.
    """
    return int(_read(text, {**_SIZES, "KB": 1000}, "a size, such as 20GB or 500MiB"))


def seconds(text: str) -> float:
    """Seconds: a number and one of s, m (minutes), h, d, w.

    Raises:
        UsageError: another form.
    """
    return float(_read(text, _TIMES, "a time, such as 30d, 12h, 90m or 2w"))


def _read(text: str, units: dict[str, int], expected: str) -> Decimal:
    found = _AMOUNT.fullmatch(text.strip())
    factor = units.get(found[2]) if found is not None else None
    if found is None or factor is None:
        remedy = f"units are {', '.join(unit for unit in units if unit != 'KB')}"
        raise UsageError(f"expected {expected}, got {text!r}", remedy=remedy)
    return Decimal(found[1]) * factor
