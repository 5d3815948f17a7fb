"""``coopery debug``: a shell where a step failed."""

from __future__ import annotations

import click

from coopery.cli.failing import Command
from coopery.cli.options import Session, session
from coopery.cli.process import process, request


@click.command(
    cls=Command,
    name="debug",
    short_help="Open a shell where a step failed.",
    examples=(
        "coopery debug environment.yaml",
        "coopery debug 3f2a9c --backend podman -- ls -l /data",
    ),
    docs="docs/cli.md#coopery-debug",
    twin="Builder.debug",
)
@click.argument("ref", metavar="FILE|KEY")
@click.argument("argv", nargs=-1, metavar="[-- COMMAND...]", type=click.UNPROCESSED)
@process
@session(output=False)
def command(session: Session, ref: str, argv: tuple[str, ...], **wanted: object) -> int:
    """Open a shell in the last good snapshot of a build whose step failed: what the step ran on.

    Nothing that is changed there is kept; build secrets are not there. With a command, that is run instead.
    """
    from coopery.cli.refs import read
    from coopery.engines.running import failed_key

    asked = request(argv, wanted)
    with session.builder() as builder:
        found = read(ref)
        return builder.debug(failed_key(builder, found) if isinstance(found, str) else found, asked)
