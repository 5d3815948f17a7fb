"""Text that a terminal obeys in nothing: what would steer it is spelled out. Quick, since steps may print gigabytes."""

from __future__ import annotations

from typing import Final

_REMEMBERED: Final = 1 << 14


class _Table(dict[int, str]):
    """For `str.translate`: what each character is shown as, found out when it is first met."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        shown = char if char.isprintable() else f"\\x{code:02x}"
        if code < _REMEMBERED:
            self[code] = shown
        return shown


_LINE: Final = _Table({ord("\t"): "\t"})
_LINES: Final = _Table({ord("\t"): "\t", ord("\n"): "\n"})


def line(text: str) -> str:
    r"""*text* with every character spelled out that is not printable, as in ``\x1b``; tabs stay."""
    return text if text.replace("\t", "").isprintable() else text.translate(_LINE)


def lines(text: str) -> str:
    """As `line`; line ends stay too."""
    return text if text.replace("\n", "").replace("\t", "").isprintable() else text.translate(_LINES)
