"""``coopery plugins``: what is installed."""

from __future__ import annotations

import click
from attrs import asdict

from coopery.cli.failing import Command
from coopery.cli.options import Session, session


@click.command(
    cls=Command,
    name="plugins",
    short_help="List the plugins that are installed.",
    examples=(
        "coopery plugins",
        "coopery plugins --output json",
    ),
    docs="docs/cli.md#coopery-plugins",
    twin="Builder.plugins",
)
@session()
def command(session: Session) -> None:
    """List the plugins that are installed: backends with their abilities, materializers, base sources, cache stores."""
    from coopery.cli import words

    with session.builder() as builder:
        found = builder.plugins()
    session.document["plugins"] = [asdict(info) for info in found]
    lines = [(i.kind, i.name, i.distribution, i.version, ", ".join(i.abilities) or "-") for i in found]
    if lines:
        session.say(words.table(("kind", "name", "distribution", "version", "abilities"), lines))
    elif not session.quiet:
        click.echo("no plugin is installed\n  pip install coopery brings the usual ones", err=True)
