"""``coopery disk``: what takes how much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from attrs import asdict

from coopery.cli.failing import Command
from coopery.cli.options import Session, session

if TYPE_CHECKING:
    from coopery.collect.usage import ImageUsage, Usage


@click.command(
    cls=Command,
    name="disk",
    short_help="Show what takes how much in the cache folder.",
    examples=(
        "coopery disk",
        "coopery disk --output json",
    ),
    docs="docs/cli.md#coopery-disk, docs/operations.md#cleaning-up",
    twin="Builder.disk",
)
@session()
def command(session: Session) -> None:
    """Show what takes how much in the cache folder, by kind and by image.

    Bytes are those that the disk gives, as du counts them; the kinds sum up to the total.
    """
    with session.builder() as builder:
        found = builder.disk()
    session.document.update(asdict(found))
    session.say(_told(found))


def _told(found: Usage) -> str:
    from coopery.cli import words

    kinds = [(one.kind, str(one.count or ""), words.size(one.size)) for one in found.kinds if one.size]
    blocks = [words.table(("kind", "count", "size"), [*kinds, ("total", "", words.size(found.total))], right=(1, 2))]
    if found.images:
        head = ("image", "own", "shared", "unpacked", "last used", "")
        blocks.append(words.table(head, map(_line, found.images), right=(1, 2, 3)))
    if found.foreign:
        blocks.append(words.clean("not made by Coopery: " + ", ".join(found.foreign)))
    return "\n\n".join(blocks)


def _line(image: ImageUsage) -> tuple[str, ...]:
    from coopery.cli import words

    note = f"pinned as {image.pin}" if image.pin else "" if image.ours else "not made by Coopery"
    unpacked = words.size(image.unpacked) if image.unpacked else "-"
    return image.name, words.size(image.own), words.size(image.shared), unpacked, words.moment(image.used), note
