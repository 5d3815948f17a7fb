"""Where the requirements stand that cannot be had: each line of a solver's error with its file, line and field."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from coopery.definition import Environment
from coopery.errors import ResolveError


@contextmanager
def pointing(environment: Environment) -> Iterator[None]:
    """Whatever cannot be resolved in here is told with its place in the file of *environment*.

    Raises:
        ResolveError: the one that was raised, with places in its message.
    """
    try:
        yield
    except ResolveError as exc:
        point(exc, environment)
        raise


def point(error: ResolveError, environment: Environment) -> None:
    """Put places into the message of *error*: on each line its own where there is one line for each requirement.

    What was not written in the file itself (but in one that it names) has no place there, and its line stays as it is.
    """
    places = [environment.places(asked) for asked in error.requirements]
    head, *rest = _parted(error)
    lines = head.split("\n")
    if len(lines) == len(places):
        head = "\n".join(_placed(place, line) for place, line in zip(places, lines, strict=True))
    elif named := [place for place in places if place]:
        head = _placed("\n".join(named), head)
    error.message = "\n".join([head, *rest])


def _parted(error: ResolveError) -> list[str]:
    """What Coopery says, and the solver's account behind it."""
    if error.explanation and error.message.endswith(tail := f"\n{error.explanation}"):
        return [error.message.removesuffix(tail), error.explanation]
    return [error.message]


def _placed(place: str, line: str) -> str:
    """A line that begins with its field (``$.conda.channels[0]: …``) does not name it twice."""
    return f"{place}: {line.removeprefix(place.rpartition(': ')[2] + ': ')}" if place else line
