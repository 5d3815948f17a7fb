"""One reading of a definition: the mistakes found so far, and the folder that relative paths start from."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from coopery.errors import DefinitionError, Problem
from coopery.read.node import Node

_MOST_LISTED: Final = 200
_MOST_SUGGESTED: Final = 25


class Mistake(ValueError):  # noqa: N818 - becomes a Problem; it is raised by grammars that know no place
    """A text that does not follow its grammar.

    Args:
        message: what was expected and what was found.
        remedy: what to write instead.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class Reading:
    """Collects problems instead of stopping at the first.

    Attributes:
        root: the definition's folder.
        problems: so far, in the order found.
        lines: requirement as it is kept → where it stands, perhaps in another file.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problems: list[Problem] = []
        self.lines: dict[str, Node] = {}
        self._suggested = 0

    def problem(self, node: Node, message: str, remedy: str = "") -> None:
        """Note a mistake at *node*."""
        self.problems.append(
            Problem(node.path, message, file=node.file, line=node.line, column=node.column, remedy=remedy)
        )

    def mistake(self, node: Node, mistake: Mistake) -> None:
        """Note at *node* what a grammar said."""
        self.problem(node, mistake.message, mistake.remedy)

    def nearest(self, name: str, known: list[str]) -> str:
        """``did you mean …?``, or an empty string. Bounded: a file of nothing but unknown keys stays cheap."""
        self._suggested += 1
        if self._suggested > _MOST_SUGGESTED or len(name) > 64:
            return ""
        from difflib import get_close_matches

        near = get_close_matches(name.lower().replace("-", "_"), known, n=1, cutoff=0.7)
        return f"did you mean {near[0]}?" if near else ""

    def finish(self) -> None:
        """End the reading.

        Raises:
            DefinitionError: there were problems; by file, then from the top down.
        """
        if not self.problems:
            return
        files = {problem.file: None for problem in self.problems}
        order = {file: number for number, file in enumerate(files)}
        ordered = sorted(self.problems, key=lambda problem: (order[problem.file], problem.line, problem.column))
        if len(ordered) > _MOST_LISTED:
            rest = len(ordered) - _MOST_LISTED
            ordered = [*ordered[:_MOST_LISTED], Problem("$", f"and {rest} more mistakes", file=ordered[0].file)]
        raise DefinitionError(ordered)
