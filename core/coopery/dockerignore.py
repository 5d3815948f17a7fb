"""``.dockerignore``: which paths of a build context an engine never sees. All of Docker's rules, ``!`` included.

Source: docs.docker.com, "Build context", section ".dockerignore files", and the behavior of moby's patternmatcher:
``**`` matches any number of folders, the last line that matches a path or a folder above it decides.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from typing import Final

from attrs import frozen

_ASCII_SPACE: Final = " \t\r\n\v\f"


@frozen
class Rule:
    """One line: whether it takes paths back in, and the test for one path."""

    include: bool
    matches: Callable[[str], bool]


@frozen
class Ignore:
    """All rules of one file, in order."""

    rules: tuple[Rule, ...] = ()

    @property
    def takes_back(self) -> bool:
        """True when a path below an excluded folder may be included after all, so that the folder must be read."""
        return any(rule.include for rule in self.rules)

    def excludes(self, path: str) -> bool:
        """Whether *path*, relative to the context with ``/`` between names, is left out."""
        parts = path.split("/")
        family = ["/".join(parts[: count + 1]) for count in range(len(parts))]
        excluded = False
        for rule in self.rules:
            if rule.include == excluded and any(map(rule.matches, family)):
                excluded = not rule.include
        return excluded


def parse(text: str) -> Ignore:
    """Read the text of an ignore file.

    Raises:
        ValueError: a line is no pattern; the message begins with its number.
    """
    rules = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        if line.startswith("#") or not line.strip(_ASCII_SPACE):
            continue
        try:
            rules.append(_rule(line.strip(_ASCII_SPACE)))
        except (ValueError, re.error) as exc:
            raise ValueError(f"line {number}: expected a pattern, got {line.strip()!r}: {exc}") from exc
    return Ignore(tuple(rules))


def _rule(line: str) -> Rule:
    include = line.startswith("!")
    pattern = line[1:].strip(_ASCII_SPACE) if include else line
    if not pattern:
        raise ValueError("nothing stands after the !")
    pattern = posixpath.normpath(pattern)
    pattern = "/" if pattern.strip("/") == "" else pattern.lstrip("/")
    return Rule(include, _matcher(pattern))


def _matcher(pattern: str) -> Callable[[str], bool]:
    if pattern.startswith("**") and not set(pattern[2:]) & set("*?[]\\"):
        return _suffix_matcher(pattern[2:])
    return re.compile(_expression(pattern), re.DOTALL).fullmatch  # type: ignore[return-value] # a match is true


def _suffix_matcher(suffix: str) -> Callable[[str], bool]:
    """``**name`` and ``**/name`` with nothing special in the name: a plain comparison of endings, as moby does it."""
    return lambda path: path.endswith(suffix) or (suffix.startswith("/") and path == suffix[1:])


def _expression(pattern: str) -> str:
    """The regular expression of *pattern*. Go's ``filepath.Match`` rules, and ``**``."""
    out: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if pattern.startswith("**", at - 1):
            at += 2 if pattern.startswith("/", at + 1) else 1
            out.append(".*" if at >= len(pattern) else "(?:.*/)?")
        elif char == "*":
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "[":
            body, at = _class(pattern, at)
            out.append(body)
        elif char == "\\" and at < len(pattern):
            out.append(re.escape(pattern[at]))
            at += 1
        else:
            out.append(re.escape(char))
    return "".join(out)


def _class(pattern: str, at: int) -> tuple[str, int]:
    """The character class that begins behind the bracket at *at* - 1, and where it ends."""
    negated = pattern.startswith("^", at)
    at += negated
    end = at
    while end < len(pattern) and pattern[end] != "]":
        end += 2 if pattern[end] == "\\" else 1
    if end >= len(pattern) or end == at:
        raise ValueError("a [ without its ]")
    body = re.sub(r"\\(.)|([\[\]&~|^])", lambda found: re.escape(found[1] or found[2]), pattern[at:end])
    return f"[{'^' if negated else ''}{body}]", end + 1
