"""``coopery run``: a process in an image."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import click

from coopery.cli.failing import Command
from coopery.cli.options import Session, session


@click.command(
    cls=Command,
    name="run",
    short_help="Run a command in an image.",
    examples=(
        "coopery run environment.yaml -- python train.py",
        "coopery run environment.yaml --mount ./data:/data -e SEED=1 -- python -c 'print(1)'",
    ),
    docs="docs/cli.md#coopery-run",
    twin="Builder.run",
)
@click.argument("ref", metavar="FILE|KEY|IMAGE")
@click.argument("argv", nargs=-1, metavar="-- COMMAND...", type=click.UNPROCESSED)
@click.option(
    "--mount", "mounts", multiple=True, metavar="HOST:PATH", help="Show a host path in the image. Repeatable."
)
@click.option("-e", "--env", "variables", multiple=True, metavar="NAME[=VALUE]", help="Set a variable, or pass it on.")
@click.option("--workdir", default="", metavar="PATH", help="Start in this folder of the image.")
@click.option("--user", default="", metavar="USER", help="Run as this user of the image.")
@click.option("--gpu", is_flag=True, help="Pass the host's GPUs in.")
@session(output=False)
def command(
    session: Session,
    ref: str,
    argv: tuple[str, ...],
    mounts: tuple[str, ...],
    variables: tuple[str, ...],
    workdir: str,
    user: str,
    gpu: bool,
) -> int:
    """Run a command in an image, which is built first where a definition has none.

    Ends with the command's own exit status; 128 + n when signal n ended it. Without a command, the image's own is run.
    """
    from coopery.cli.refs import known
    from coopery.place import RunRequest

    request = RunRequest(argv, _variables(variables), _mounts(mounts), workdir, user, gpu)
    with session.builder() as builder:
        return builder.run(known(builder, ref), request)


def _mounts(texts: Iterable[str]) -> list[tuple[Path, str]]:
    """``HOST:PATH`` pairs; the host's path made absolute.

    Raises:
        UsageError: another form, nothing at the host's path, or a path in the image that is not absolute.
    """
    from coopery.errors import UsageError

    found = []
    for text in texts:
        host, colon, inside = text.rpartition(":")
        if not colon or not host or not inside.startswith("/") or ".." in inside.split("/"):
            raise UsageError(
                f"--mount {text!r}: expected HOST:PATH, PATH absolute and without ..", remedy="as in ./data:/data"
            )
        if not os.path.exists(host):
            raise UsageError(f"--mount {text!r}: nothing is at {host} on this machine")
        found.append((Path(host).absolute(), inside))
    return found


def _variables(texts: Iterable[str]) -> dict[str, str]:
    """``NAME=VALUE``, or ``NAME`` to pass on this process's own.

    Raises:
        UsageError: no name, or a variable to pass on that is not set here.
    """
    from coopery.errors import UsageError

    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name:
            raise UsageError(f"-e {text!r}: expected NAME=VALUE")
        if not equals and name not in os.environ:
            raise UsageError(f"-e {name}: it is not set here", remedy=f"write -e {name}=VALUE")
        found[name] = value if equals else os.environ[name]
    return found
