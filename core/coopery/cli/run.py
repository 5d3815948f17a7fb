"""``coopery run``: a process in an image."""

from __future__ import annotations

import click

from coopery.cli.failing import Command
from coopery.cli.options import Session, session, step_options, steps
from coopery.cli.process import process, request


@click.command(
    cls=Command,
    name="run",
    short_help="Run a command in an image.",
    examples=(
        "coopery run environment.yaml -- python train.py",
        "coopery run environment.yaml -v ./data:/data:ro -e SEED=1 --gpus all -- python -c 'print(1)'",
    ),
    docs="docs/cli.md#coopery-run",
    twin="Builder.run",
)
@click.argument("ref", metavar="FILE|KEY|IMAGE")
@click.argument("argv", nargs=-1, metavar="-- COMMAND...", type=click.UNPROCESSED)
@process
@steps
@session(output=False)
def command(
    session: Session,
    ref: str,
    argv: tuple[str, ...],
    secrets: tuple[str, ...],
    step_timeout: str | None,
    **wanted: object,
) -> int:
    """Run a command in an image, which is built first where a definition has none.

    Ends with the command's own exit status; 128 + n when signal n ended it. Without a command, the image's own is run.
    """
    from coopery.cli.refs import known

    asked = request(argv, wanted)
    with session.builder(**step_options(secrets, step_timeout)) as builder:
        return builder.run(known(builder, ref), asked)
