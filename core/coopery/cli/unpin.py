"""``coopery unpin``: forgets a pin."""

from __future__ import annotations

import click

from coopery.cli.failing import Command
from coopery.cli.options import Session, session


@click.command(
    cls=Command,
    name="unpin",
    short_help="Forget a pin.",
    examples=(
        "coopery unpin paper-2026",
        "coopery unpin paper-2026 --output json",
    ),
    docs="docs/cli.md#coopery-unpin",
    twin="Builder.unpin",
)
@click.argument("name", metavar="NAME")
@session()
def command(session: Session, name: str) -> None:
    """Forget a pin. What it kept stays until the next gc that would take it."""
    from coopery.cli.pin import document

    with session.builder() as builder:
        gone = builder.unpin(name)
    session.document.update(document(gone))
    session.say(f"unpinned {gone.name}: {gone.what}")
