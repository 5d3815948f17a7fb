"""Options that several commands share, and the session that they make."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
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
        self,
        cache: str | None,
        home: str | None,
        backend: str | None,
        leases: str | None = None,
        *,
        quiet: bool = False,
        json: bool = False,
    ) -> None:
        self.json = json
        self.quiet = quiet
        self.document: dict[str, Any] = {}
        self._cache, self._home, self._backend, self._leases = cache, home, backend, leases

    def say(self, text: str) -> None:
        """Print a result as text, where the result is text."""
        if not self.json:
            click.echo(text)

    @contextmanager
    def builder(self, *, secrets: Mapping[str, bytes] | None = None, step_seconds: float = 0.0) -> Iterator[Builder]:
        """A builder that reports its progress on stderr, and lets go of everything at the end."""
        from coopery.build import Builder
        from coopery.cli.progress import Progress

        with (
            Progress(quiet=self.quiet) as progress,
            Builder(
                cache=self._cache,
                home=self._home,
                backend=self._backend,
                on_event=progress,
                secrets=secrets,
                step_seconds=step_seconds,
                leases=self._leases,
            ) as builder,
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
            as_json = rest.pop("output", "text") == "json"
            made = Session(cache, home, backend, rest.pop("leases"), quiet=quiet, json=as_json)
            click.get_current_context().meta[DOCUMENT] = made.document
            return command(made, **rest)

        decorated: Any = run
        for option in (*((_OUTPUT,) if output else ()), *reversed(_SHARED)):
            decorated = option(decorated)
        return decorated  # type: ignore[no-any-return] # click's options keep the type of what they decorate

    return decorate


def steps(command: F) -> F:
    """The options of commands that may run steps: ``--secret`` and ``--step-timeout``."""
    decorated: Any = command
    for option in reversed(_STEPS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return] # as above


def step_options(secrets: Sequence[str], timeout: str | None) -> dict[str, Any]:
    """What `Session.builder` is given for them. Most builds have none, and then nothing is imported.

    Raises:
        UsageError: another form, or a secret that cannot be read.
    """
    found: dict[str, Any] = {}
    if secrets:
        from coopery.engines.secrets import parse

        found["secrets"] = parse(secrets)
    if timeout is not None:
        from coopery.collect.amounts import seconds

        found["step_seconds"] = seconds(timeout)
    return found


_STEPS: list[Callable[[Any], Any]] = [
    click.option(
        "--secret",
        "secrets",
        multiple=True,
        metavar="id=NAME,env=VAR|src=FILE",
        help="Give a build secret to the steps that name it. Repeatable.",
    ),
    click.option("--step-timeout", metavar="TIME", help="End a run step that takes longer: 10m, 90s. [default: never]"),
]
_OUTPUT: Callable[[Any], Any] = click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the result.  [default: text]"
)
_SHARED: list[Callable[[Any], Any]] = [
    click.option(
        "--backend", metavar="NAME", help="Backend to build with. [default: $COOPERY_BACKEND, else as needed]"
    ),
    click.option("--cache", metavar="URL", help="Cache store: sqlite:, directory:/path, … [default: $COOPERY_CACHE]"),
    click.option(
        "--leases", metavar="URL", help="Who builds is agreed there: redis:, … [default: $COOPERY_LEASES, else --cache]"
    ),
    click.option("--home", metavar="DIR", help="Cache folder. [default: $COOPERY_HOME, else ~/.cache/coopery]"),
    click.option("-q", "--quiet", is_flag=True, help="No progress on stderr; errors only."),
]
