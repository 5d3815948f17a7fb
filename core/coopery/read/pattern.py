"""Regular expressions that are compiled when first used: one definition uses few of the many there are.

Compiling all of them would be the larger part of what ``import coopery.read`` costs.
"""

from __future__ import annotations

import re


class Pattern:
    """A regular expression. The methods are those of `re.Pattern`."""

    __slots__ = ("_compiled", "_flags", "source")

    def __init__(self, source: str, flags: int = 0) -> None:
        self.source = source
        self._flags = flags
        self._compiled: re.Pattern[str] | None = None

    def _get(self) -> re.Pattern[str]:
        if self._compiled is None:
            self._compiled = re.compile(self.source, self._flags)
        return self._compiled

    def match(self, text: str, at: int = 0) -> re.Match[str] | None:
        """A match that begins at *at*."""
        return self._get().match(text, at)

    def fullmatch(self, text: str) -> re.Match[str] | None:
        """A match of the whole of *text*."""
        return self._get().fullmatch(text)

    def search(self, text: str) -> re.Match[str] | None:
        """The first match in *text*."""
        return self._get().search(text)

    def sub(self, replacement: str, text: str) -> str:
        """*text* with every match replaced."""
        return self._get().sub(replacement, text)
