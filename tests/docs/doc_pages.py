"""The pages of the documentation, taken apart into headings, links and blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).parents[2]
PAGES = tuple(
    path
    for pattern in ("*.md", "docs/**/*.md", "plugins/*/README.md", "core/README.md", "examples/**/README.md")
    for path in sorted(ROOT.glob(pattern))
)
_FENCE = re.compile(r"^(```+)(\w*)\n(.*?)^\1\n", re.MULTILINE | re.DOTALL)


@frozen
class Block:
    """One fenced block: ``page`` relative to the checkout, ``line`` of its first line, 1-based."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def name_of(page: Path) -> str:
    """*page* as people call it."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> Iterator[Block]:
    """The blocks of *language* in *page*."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        if found[2] == language:
            yield Block(name_of(page), text[: found.start(3)].count("\n") + 1, language, found[3])


def prose(page: Path) -> str:
    """*page* without its blocks and code spans."""
    return re.sub(r"`[^`\n]+`", "", _FENCE.sub("", page.read_text(encoding="utf-8")))


def links(page: Path) -> Iterator[str]:
    """Targets of links and pictures."""
    text = prose(page)
    yield from re.findall(r"\]\(([^)\s]+)\)", text)
    yield from re.findall(r'<img src="([^"]+)"', text)


def headings(page: Path) -> tuple[str, ...]:
    """Headings as they stand, without their signs."""
    return tuple(re.findall(r"^#+ (.*)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE))


def anchor(heading: str) -> str:
    """What GitHub calls a heading: lower case, spaces as hyphens, other signs dropped."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
