"""How a command fails: ``error: …``, then what to do, on stderr; with ``--output json`` also a document on stdout."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from coopery.cli.words import clean, count
from coopery.errors import CooperyError, DefinitionError, Problem

DOCUMENT: Final = "coopery.document"
"""Where a context keeps what its command has found so far."""

BROKEN_PIPE: Final = 141
"""128 + SIGPIPE: what a shell shows for a program that wrote into a closed pipe."""


class Command(click.Command):
    """A command that ends with the exit status of the error that stopped it, and whose help teaches.

    Args:
        *args: as click's.
        examples: command lines to show in its help.
        docs: pages that tell more.
        twin: what does the same in Python.
        **kwargs: as click's.
    """

    def __init__(self, *args: Any, examples: Sequence[str], docs: str, twin: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self.docs = docs
        self.twin = twin

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """Examples, then where to read on."""
        write_examples(formatter, self.examples)
        formatter.write_text(f"Docs: {self.docs}")
        formatter.write_text(f"In Python: {self.twin}")

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; errors of ours are told, never shown as a traceback."""
        try:
            result = super().invoke(ctx)
            self._print_document(ctx)
        except CooperyError as exc:
            tell(exc)
            self._print_document(ctx, error=document(exc))
            raise click.exceptions.Exit(exc.exit_code) from exc
        except BrokenPipeError as exc:
            send_nowhere()
            raise click.exceptions.Exit(BROKEN_PIPE) from exc
        return result

    def _print_document(self, ctx: click.Context, **more: Any) -> None:
        """With ``--output json``, the one document on stdout; its schema's name changes when its meaning does."""
        if ctx.params.get("output") == "json":
            import json

            whole = {"schema": f"coopery.{self.name}.v1", **ctx.meta.get(DOCUMENT, {}), **more}
            click.echo(json.dumps(whole, indent=2, ensure_ascii=False))


def write_examples(formatter: click.HelpFormatter, examples: Sequence[str]) -> None:
    """Command lines as they are typed: never wrapped."""
    with formatter.section("Examples"):
        for example in examples:
            formatter.write(f"  {example}\n")
    formatter.write_paragraph()


def tell(exc: CooperyError) -> None:
    """Say on stderr what went wrong and what to do next."""
    if isinstance(exc, DefinitionError):
        lines = [f"error: {count(len(exc.problems), 'mistake')} in {exc.subject}", *map(str, exc.problems)]
    else:
        lines = [f"error: {exc.message}", *([f"  {exc.remedy}"] if exc.remedy else [])]
    if log := getattr(exc, "log", ""):
        lines.append(f"  log: {log}")
    click.echo(clean("\n".join(lines)), err=True)


def document(exc: CooperyError) -> dict[str, Any]:
    """The same as plain data, for scripts."""
    from coopery.failure import describe

    fields = {name: value for name, value in describe(exc)["fields"].items() if name != "remedy"}
    problems = [_problem(problem) for problem in getattr(exc, "problems", ())]
    return {
        "type": type(exc).__name__,
        "exit_code": exc.exit_code,
        "message": exc.message,
        "remedy": exc.remedy,
        "log": getattr(exc, "log", ""),
        "fields": fields,
        "problems": problems,
    }


def _problem(problem: Problem) -> dict[str, Any]:
    return {name: getattr(problem, name) for name in ("file", "line", "column", "path", "message", "remedy")}


def send_nowhere() -> None:
    """Whoever read our output has gone: what is still buffered must not raise once more at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
