"""Environment markers: what stands after ``;`` in a requirement. Only checked, never evaluated.

Source: the "dependency specifiers" specification of the Python Packaging User Guide (once PEP 508).
"""

from __future__ import annotations

from typing import Final

from coopery.read.node import quoted
from coopery.read.pattern import Pattern
from coopery.read.reading import Mistake

_VARIABLES: Final = frozenset({
    "python_version", "python_full_version", "os_name", "sys_platform", "platform_release", "platform_system",
    "platform_version", "platform_machine", "platform_python_implementation", "implementation_name",
    "implementation_version", "extra", "extras", "dependency_groups",
    # what setuptools and PEP 345 called them, still read by pip
    "python_implementation", "os.name", "sys.platform", "platform.version", "platform.machine",
    "platform.python_implementation",
})  # fmt: skip
_TOKEN: Final = Pattern(
    r"""\s*(?:(?P<string>"[^"\\]*"|'[^'\\]*')|(?P<operator>===|~=|==|!=|<=|>=|<|>|not\s+in\b|in\b)"""
    r"""|(?P<joint>and\b|or\b)|(?P<variable>[a-z_][a-z_.]*)|(?P<parenthesis>[()]))"""
)
_MOST_GROUPS: Final = 16


def check(text: str) -> None:
    """Check a marker.

    Raises:
        Mistake: it does not follow the grammar, or names no known variable.
    """
    tokens = _tokens(text)
    end = _either(tokens, 0, text, 0)
    if end != len(tokens):
        _fail(text)


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, at, stripped = [], 0, text.rstrip()
    while at < len(stripped):
        match = _TOKEN.match(stripped, at)
        if match is None or match.lastgroup is None:
            _fail(text)
            break
        tokens.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return tokens


def _either(tokens: list[tuple[str, str]], at: int, text: str, depth: int) -> int:
    """Comparisons joined by ``and`` and ``or``; returns where they end."""
    if depth > _MOST_GROUPS:
        _fail(text)
    while True:
        if at < len(tokens) and tokens[at] == ("parenthesis", "("):
            at = _either(tokens, at + 1, text, depth + 1)
            if at >= len(tokens) or tokens[at] != ("parenthesis", ")"):
                _fail(text)
            at += 1
        else:
            at = _comparison(tokens, at, text)
        if at >= len(tokens) or tokens[at][0] != "joint":
            return at
        at += 1


def _comparison(tokens: list[tuple[str, str]], at: int, text: str) -> int:
    kinds = [kind for kind, _ in tokens[at : at + 3]]
    sides = {*kinds[0:1], *kinds[2:3]}
    if len(kinds) < 3 or kinds[1] != "operator" or not sides <= {"string", "variable"} or "variable" not in sides:
        _fail(text)
    for kind, name in tokens[at : at + 3]:
        if kind == "variable" and name not in _VARIABLES:
            raise Mistake(f"expected a marker, found the unknown variable {quoted(name)}", "like python_version")
    return at + 3


def _fail(text: str) -> None:
    remedy = "like ; python_version >= '3.11'"
    raise Mistake(f"expected a marker after the semicolon, found {quoted(text.strip())}", remedy)
