"""``coopery gc``: takes away what is not needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from attrs import asdict

from coopery.cli.failing import Command
from coopery.cli.options import Session, session

if TYPE_CHECKING:
    from coopery.collect.collection import Collected


@click.command(
    cls=Command,
    name="gc",
    short_help="Take away what is not needed.",
    examples=(
        "coopery gc --dry-run",
        "coopery gc --keep-last 3 --unused-for 30d --max-size 20GB",
    ),
    docs="docs/cli.md#coopery-gc, docs/operations.md#cleaning-up",
    twin="Builder.gc",
)
@click.option("--keep-last", type=click.IntRange(0), metavar="N", help="The N last used images of each name stay.")
@click.option("--unused-for", metavar="TIME", help="What was not used for so long goes: 30d, 12h, 2w.")
@click.option("--max-size", metavar="SIZE", help="What was used longest ago goes until no more is left: 20GB, 500MiB.")
@click.option("--grace", metavar="TIME", default="1h", help="What was made or used since stays.  [default: 1h]")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@session()
def command(
    session: Session, keep_last: int | None, unused_for: str | None, max_size: str | None, grace: str, dry_run: bool
) -> None:
    """Take out of the cache folder what is not needed; without limits, what nothing refers to any more.

    Safe at any moment. Pins, running builds, other tools' images and what Coopery did not make stay. An image that
    went is built again with the same id.
    """
    from coopery.collect import amounts

    with session.builder() as builder:
        found = builder.gc(
            keep_last=keep_last,
            unused_for=amounts.seconds(unused_for) if unused_for is not None else None,
            max_size=amounts.size(max_size) if max_size is not None else None,
            grace=amounts.seconds(grace),
            dry_run=dry_run,
        )
    session.document.update(asdict(found))
    session.document["kinds"] = [
        {"kind": kind, "count": count, "size": size} for kind, (count, size) in found.kinds.items()
    ]
    session.say(_told(found))


def _told(found: Collected) -> str:
    from coopery.cli import words

    blocks = []
    if found.images:
        blocks.append(words.table(("image", "goes because"), [(one.name, one.why) for one in found.images]))
    if found.things:
        lines = [(kind, str(count), words.size(size)) for kind, (count, size) in found.kinds.items()]
        blocks.append(words.table(("kind", "count", "size"), lines, right=(1, 2)))
    if found.kept:
        blocks.append(words.table(("image", "stays"), found.kept))
    if found.foreign:
        blocks.append(words.clean("not made by Coopery, left alone: " + ", ".join(found.foreign)))
    freed = words.size(max(found.before - found.after, 0))
    head = f"{freed} would go" if found.dry_run else f"{freed} went"
    left = f"{words.size(found.after)} {'would be left' if found.dry_run else 'left'}"
    waits = f"; {words.size(found.waiting)} more once no build runs" if found.waiting > 0 else ""
    blocks.append(f"{head}, {left}{waits}" if found.things or found.images else f"nothing to take away, {left}{waits}")
    return "\n\n".join(blocks)
