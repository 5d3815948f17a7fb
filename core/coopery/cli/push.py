"""``coopery push``: an image into a registry."""

from __future__ import annotations

import time

import click

from coopery.cli.failing import Command
from coopery.cli.options import Session, session


@click.command(
    cls=Command,
    name="push",
    short_help="Put an image into a registry.",
    examples=(
        "coopery push environment.yaml registry.example.org/team/train:v1",
        "coopery push 2e5845961fb9 localhost:5000/train --compression zstd",
    ),
    docs="docs/cli.md#coopery-push",
    twin="Builder.push",
)
@click.argument("ref", metavar="FILE|KEY|IMAGE")
@click.argument("to", metavar="TO")
@click.option(
    "--compression",
    type=click.Choice(["gzip", "zstd"]),
    help="How layers are compressed.  [default: the settings', else gzip]",
)
@session()
def command(session: Session, ref: str, to: str, compression: str | None) -> None:
    """Put an image into a registry; a definition that has none is built first.

    TO is HOST[:PORT]/REPOSITORY[:TAG]. Only what the registry lacks is sent. The right to push is checked before
    anything is built.
    """
    from coopery.cli import images
    from coopery.cli.refs import known

    with session.builder() as builder:
        begun = time.monotonic()
        placed = builder.push(known(builder, ref), to, compression=compression)
        took = time.monotonic() - begun
    session.document["pushed"] = images.placed_document(placed)
    session.say(images.placed(placed, took))
