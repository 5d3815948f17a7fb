"""The root command, which finds the others by name and imports only the one that is asked for."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from types import FrameType
from typing import Any, Final, NoReturn

import click

from coopery import __version__
from coopery.cli.failing import BROKEN_PIPE, send_nowhere, write_examples

COMMANDS: Final = (
    "build",
    "key",
    "lock",
    "plan",
    "why",
    "diff",
    "run",
    "shell",
    "debug",
    "export",
    "push",
    "pull",
    "details",
    "list",
    "logs",
    "disk",
    "gc",
    "pin",
    "unpin",
    "pins",
    "cache",
    "plugins",
    "settings",
    "doctor",
)
"""In the order of help. Each is ``command`` in the module of its name."""

INTERRUPTED: Final = 128 + signal.SIGINT


class _Lazy(click.Group):
    """A group whose commands are modules, imported when asked for: a hit should not pay for the rest."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"coopery.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but a misspelt name is answered with the nearest, and a file with the command for it."""
        if not ctx.resilient_parsing and args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(_unknown(args[0]))
        return super().resolve_command(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """The two commands that most people need, and where to read on."""
        examples = ("coopery build environment.yaml", "coopery run environment.yaml -- python train.py")
        write_examples(formatter, examples)
        formatter.write_text("Docs: docs/cli.md, docs/definition.md, docs/exit-codes.md")


def _unknown(name: str) -> str:
    from difflib import get_close_matches

    if os.path.exists(name):
        return f"{name!r} is a file, not a command. Try: coopery build {name}"
    near = get_close_matches(name, COMMANDS, 1)
    return f"No such command {name!r}." + (f" Did you mean {near[0]!r}?" if near else "")


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="coopery", message="%(prog)s %(version)s")
def root() -> None:
    """Turn a declared machine-learning environment into a container image, once."""


def main(args: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (``docs/exit-codes.md``)."""
    gc.set_threshold(50_000, 20, 20)  # imports make no garbage worth looking for
    _be_robust()
    try:
        result: Any = root.main(args=args, prog_name="coopery", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except click.ClickException as exc:
        return _misused(exc)
    except (click.Abort, KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C ends what is left at once
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        send_nowhere()
        return BROKEN_PIPE
    except Exception:
        import traceback

        traceback.print_exc()
        print("error: this is a mistake in Coopery, not in your definition; please report it", file=sys.stderr)
        return 1
    return result if isinstance(result, int) else 0


def _misused(exc: click.ClickException) -> int:
    """Told like every other error: what is wrong, then what to do."""
    ctx = getattr(exc, "ctx", None)
    click.echo(f"error: {exc.format_message()}", err=True)
    if ctx is not None:
        click.echo(f"  {ctx.command_path} --help says how it is used", err=True)
    return exc.exit_code


def _be_robust() -> None:
    """Streams that can show any text, and signals that end a build in good order."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    """As after Ctrl-C, everything held is let go on the way out."""
    raise SystemExit(128 + number)
