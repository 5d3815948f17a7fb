"""``coopery logs``: all that a build said, kept by key."""

from __future__ import annotations

import click

from coopery.cli.failing import Command
from coopery.cli.options import Session, session


@click.command(
    cls=Command,
    name="logs",
    short_help="Print the log of a build.",
    examples=(
        "coopery logs environment.yaml",
        "coopery logs 3f2a9c | less",
    ),
    docs="docs/cli.md#coopery-logs",
    twin="Builder.log",
)
@click.argument("ref", metavar="KEY|FILE")
@session()
def command(session: Session, ref: str) -> None:
    """Print the newest build log of a key or definition, whether that build succeeded or failed."""
    from coopery.cli import words
    from coopery.cli.refs import read

    with session.builder() as builder:
        text = builder.log(read(ref))
    session.document["log"] = text
    session.say(words.clean(text.rstrip("\n")))
