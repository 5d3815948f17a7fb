"""``coopery pins``: what is pinned."""

from __future__ import annotations

import click

from coopery.cli.failing import Command
from coopery.cli.options import Session, session


@click.command(
    cls=Command,
    name="pins",
    short_help="List what is pinned.",
    examples=(
        "coopery pins",
        "coopery pins --output json",
    ),
    docs="docs/cli.md#coopery-pins",
    twin="Builder.pins",
)
@session()
def command(session: Session) -> None:
    """List what is pinned, by name."""
    from coopery.cli import words
    from coopery.cli.pin import document

    with session.builder() as builder:
        found = builder.pins()
    session.document["pins"] = [document(pin) for pin in found]
    lines = [(pin.name, pin.what, str(sum(len(lock.artifacts) for lock in pin.locks))) for pin in found]
    if lines:
        session.say(words.table(("pin", "what", "packages"), lines))
    elif not session.quiet:
        click.echo("nothing is pinned", err=True)
