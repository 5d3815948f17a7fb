"""The interpreter that a definition declares where the user manages Python: a program that the image has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from coopery.errors import BaseError
from coopery.facts.walk import Obstacle, follow, word

if TYPE_CHECKING:
    from coopery.files import Files

_EXECUTE: Final = 0o111


def check(files: Files, interpreter: str, nearest: str | None) -> None:
    """See that *interpreter* is an executable file in the image. Nothing is executed.

    Args:
        files: the image after the last step.
        interpreter: absolute path, as declared.
        nearest: a Python that the image does have, to name in the error.

    Raises:
        BaseError: it is not there, leads nowhere, or is no program.
    """
    problem = _problem(files, interpreter)
    if problem:
        remedy = f"the image has {nearest}" if nearest else "install it with a step, or take a base that has it"
        raise BaseError(f"$.python.interpreter: {interpreter}: {problem}", remedy=remedy)


def _problem(files: Files, interpreter: str) -> str:
    try:
        found = follow(files, interpreter)
    except Obstacle as exc:
        return str(exc)
    if found.stat is None:
        return f"{found.dangling} leads to nothing" if found.dangling else "it is not in the image"
    if found.stat.kind != "file":
        return f"it is a {word(found.stat)}"
    return "" if found.stat.mode & _EXECUTE else "it is no program: nobody may execute it"
