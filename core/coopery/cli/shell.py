"""``coopery shell``: a shell in an image."""

from __future__ import annotations

import click

from coopery.cli.failing import Command
from coopery.cli.options import Session, session, step_options, steps
from coopery.cli.process import process, request


@click.command(
    cls=Command,
    name="shell",
    short_help="Open a shell in an image.",
    examples=(
        "coopery shell environment.yaml",
        "coopery shell 3f2a9c --backend docker -v .:/work -w /work",
    ),
    docs="docs/cli.md#coopery-shell",
    twin="Builder.run",
)
@click.argument("ref", metavar="FILE|KEY|IMAGE")
@process
@steps
@session(output=False)
def command(session: Session, ref: str, secrets: tuple[str, ...], step_timeout: str | None, **wanted: object) -> int:
    """Open a shell in an image, which is built first where a definition has none.

    It is bash where the image has it, else sh. Ends with the shell's own exit status.
    """
    from coopery.cli.refs import known
    from coopery.engines.running import SHELL

    asked = request(SHELL, wanted)
    with session.builder(**step_options(secrets, step_timeout)) as builder:
        return builder.run(known(builder, ref), asked)
