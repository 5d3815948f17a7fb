"""``coopery list``: every key that is known here."""

from __future__ import annotations

import click

from coopery.cli.failing import Command
from coopery.cli.options import Session, session


@click.command(
    cls=Command,
    name="list",
    short_help="List what was built here.",
    examples=(
        "coopery list",
        "coopery list --output json",
    ),
    docs="docs/cli.md#coopery-list",
    twin="Builder.list",
)
@session()
def command(session: Session) -> None:
    """List what was built here, newest first: key, name, size, and whether the image is still there."""
    from coopery.cli import words
    from coopery.cli.details import document

    with session.builder() as builder:
        found = builder.list()
    session.document["builds"] = [document(details) for details in found]
    lines = [
        (
            details.key[:16],
            details.name or "-",
            str(details.generation),
            words.size(details.image.size) if details.image else "-",
            words.moment(details.written),
            "yes" if details.exists else "no",
        )
        for details in found
    ]
    if lines:
        session.say(words.table(("key", "name", "generation", "size", "made", "there"), lines))
    elif not session.quiet:
        click.echo("nothing has been built here yet", err=True)
