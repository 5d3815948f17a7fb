"""Options that several commands share, and the session that they make."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from coopery.cli.failing import DOCUMENT

if TYPE_CHECKING:
    from coopery.build import Builder

F = TypeVar("F", bound=Callable[..., Any])


class Session:
    """Where one command works and how it reports. A plain class: it is made on every hit.

    Attributes:
        json: whether the result is one JSON document.
        quiet: whether only errors are told.
        document: with ``--output json``, what the command has found so far. Printed at its end, with the error if
            there is one.
    """

    def __init__(
        self, cache: str | None, home: str | None, backend: str | None, *, quiet: bool = False, json: bool = False
    ) -> None:
        self.json = json
        self.quiet = quiet
        self.document: dict[str, Any] = {}
        self._cache, self._home, self._backend = cache, home, backend

    def say(self, text: str) -> None:
        """Print a result as text, where the result is text."""
        if not self.json:
            click.echo(text)

    @contextmanager
    def builder(self) -> Iterator[Builder]:
        """A builder that reports its progress on stderr, and lets go of everything at the end."""
        from coopery.build import Builder
        from coopery.cli.progress import Progress

        with (
            Progress(quiet=self.quiet) as progress,
            Builder(cache=self._cache, home=self._home, backend=self._backend, on_event=progress) as builder,
        ):
            self.document |= {"warnings": progress.warnings, "moved": progress.moved}  # filled as they come
            yield builder


def session(*, output: bool = True) -> Callable[[F], F]:
    """Give a command a `Session` as its first argument, and the shared options to the command line.

    Args:
        output: whether it has a result of its own that could be JSON.
    """

    def decorate(command: F) -> F:
        @functools.wraps(command)
        def run(cache: str | None, home: str | None, backend: str | None, quiet: bool, **rest: Any) -> Any:
            made = Session(cache, home, backend, quiet=quiet, json=rest.pop("output", "text") == "json")
            click.get_current_context().meta[DOCUMENT] = made.document
            return command(made, **rest)

        decorated: Any = run
        for option in (*((_OUTPUT,) if output else ()), *reversed(_SHARED)):
            decorated = option(decorated)
        return decorated  # type: ignore[no-any-return] # click's options keep the type of what they decorate

    return decorate


_OUTPUT: Callable[[Any], Any] = click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the result.  [default: text]"
)
_SHARED: list[Callable[[Any], Any]] = [
    click.option("--backend", metavar="NAME", help="Backend to build with. [default: $COOPERY_BACKEND, else oci]"),
    click.option("--cache", metavar="URL", help="Cache store: sqlite: or sqlite:/path. [default: $COOPERY_CACHE]"),
    click.option("--home", metavar="DIR", help="Cache folder. [default: $COOPERY_HOME, else ~/.cache/coopery]"),
    click.option("-q", "--quiet", is_flag=True, help="No progress on stderr; errors only."),
]
