"""``coopery key``: what a definition asks for, in 64 digits."""

from __future__ import annotations

import click

from coopery.cli.failing import Command
from coopery.cli.options import Session, session


@click.command(
    cls=Command,
    name="key",
    short_help="Print the key of a definition.",
    examples=(
        "coopery key environment.yaml",
        "coopery key *.yaml --output json",
    ),
    docs="docs/key.md, docs/cli.md#coopery-key",
    twin="Builder.key",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@session()
def command(session: Session, files: tuple[str, ...]) -> None:
    """Print the key of each definition. Offline, and the same on every machine.

    Names, versions, comments and order of packages do not change a key; what changes the image does.
    """
    from coopery.cli.refs import load_all

    keys = session.document["keys"] = []
    with session.builder() as builder:
        for file, environment in zip(files, load_all(files), strict=True):
            keys.append({"file": file, "key": builder.key(environment)})
            if session.json:
                keys[-1]["identity"] = builder.identity(environment)
            session.say(f"{keys[-1]['key']}  {file}")
