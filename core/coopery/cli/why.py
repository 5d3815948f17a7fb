"""``coopery why``: which inputs make two keys differ."""

from __future__ import annotations

import click
from attrs import asdict

from coopery.cli.failing import Command
from coopery.cli.options import Session, session


@click.command(
    cls=Command,
    name="why",
    short_help="Say which inputs make two keys differ.",
    examples=(
        "coopery why environment.yaml changed.yaml",
        "coopery why 3f2a9c environment.yaml",
    ),
    docs="docs/cli.md#coopery-why",
    twin="Builder.why",
)
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@session()
def command(session: Session, first: str, second: str) -> None:
    """Say which inputs make the key of B differ from that of A: definitions, or keys that were built here."""
    from coopery.cli import words
    from coopery.cli.refs import known
    from coopery.why import lines

    with session.builder() as builder:
        found = builder.why(known(builder, first), known(builder, second))
    session.document.update({"same": not found, "differences": [asdict(difference) for difference in found]})
    for line in lines(found) or ("the same key: no input differs",):
        session.say(words.clean(line))
