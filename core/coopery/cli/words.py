"""Words and numbers for people: sizes, seconds, aligned rows. Nothing printed can steer a terminal."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from coopery import spelled


def clean(text: str) -> str:
    """*text* with every character that a terminal would obey spelled out; line ends and tabs stay."""
    return spelled.lines(text)


def size(count: int) -> str:
    """Bytes in decimal units, as container tools count them: ``450.2 MB``."""
    if count < 1000:
        return f"{count} B"
    amount = count / 1000
    for unit in ("kB", "MB", "GB"):
        if amount < 999.95:
            return f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def seconds(amount: float) -> str:
    """``0.012 s``, ``3.4 s``, ``2 min 5 s``."""
    if amount < 1:
        return f"{amount:.3f} s"
    return f"{amount:.1f} s" if amount < 90 else f"{int(amount) // 60} min {int(amount) % 60} s"


def count(number: int, noun: str) -> str:
    """``1 layer``, ``2 layers``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def made_and_reused(made: int, reused: int) -> str:
    """``1 layer made, 54 reused``."""
    return f"{count(made, 'layer')} made, {reused} reused"


def moment(since_epoch: float) -> str:
    """UTC to the minute: ``2026-11-22 09:48Z``. No locale, no time zone of the machine."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(since_epoch, UTC).strftime("%Y-%m-%d %H:%MZ")


def rows(pairs: Iterable[tuple[str, str]]) -> str:
    """``name  value`` lines, aligned."""
    pairs = list(pairs)
    width = max((len(name) for name, _ in pairs), default=0)
    return "\n".join(f"{name:<{width}}  {clean(value)}" for name, value in pairs)


def table(head: Sequence[str], lines: Iterable[Sequence[str]], right: Collection[int] = ()) -> str:
    """Columns as wide as their widest cell, two spaces apart. A terminal may wrap; nothing is cut.

    Args:
        head: what stands above the columns.
        lines: their cells.
        right: numbers of the columns, from 0, that are aligned to the right.
    """
    cells = [list(head), *([clean(cell) for cell in line] for line in lines)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    sides = ["<>"[column in right] for column in range(len(head))]
    padded = (
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True))
        for line in cells
    )
    return "\n".join(line.rstrip() for line in padded)


def indented(text: str) -> str:
    """Each line of *text*, two spaces to the right."""
    return "\n".join(f"  {line}".rstrip() for line in text.splitlines())
