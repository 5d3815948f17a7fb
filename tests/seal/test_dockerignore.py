from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopery.dockerignore import parse


@pytest.mark.parametrize(
    ("text", "excluded", "kept"),
    [
        ("a", ["a", "a/b", "a/b/c"], ["b", "b/a", "ab"]),
        ("/a", ["a", "a/b"], ["b/a"]),
        ("a/", ["a", "a/b"], ["b/a"]),
        ("./a/../b", ["b"], ["a"]),
        ("  a  \r", ["a"], ["b"]),
        ("#a\n\n  \n", [], ["a", "#a"]),
        (" #a", ["#a"], ["a"]),
        ("\ufeffa", ["a"], ["b"]),
        ("*.py", ["a.py", ".py"], ["b/a.py", "a.pyc"]),
        ("*/*.py", ["b/a.py"], ["a.py", "c/b/a.py"]),
        ("**/*.py", ["a.py", "b/a.py", "c/b/a.py"], ["a.pyc"]),
        ("**/a", ["a", "b/a", "b/a/c"], ["ba", "b/ca"]),
        ("**a", ["a", "ba", "b/ca"], ["ab"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "ab"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["a", "ab", "b"]),
        ("a**", ["a", "ab", "ab/c"], ["ba"]),
        ("**", ["a", "a/b"], []),
        ("*", ["a", "a/b"], []),
        ("?", ["a"], ["ab"]),
        ("a?c", ["abc"], ["a/c", "ac"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "x"]),
        ("[^a-c]x", ["dx"], ["ax"]),
        (r"[\]]x", ["]x"], [r"\x"]),
        (r"\*", ["*"], ["a"]),
        ("a.b", ["a.b"], ["axb"]),
        ("a+(b)|{c}$", ["a+(b)|{c}$"], ["aab"]),
        ("*+", ["c++"], ["c"]),
        ("*\n!a", ["b"], ["a", "a/b"]),
        ("!a\na", ["a"], ["b"]),
        ("*.md\n!README*.md\nREADME-secret.md", ["a.md", "README-secret.md"], ["README.md", "README-x.md"]),
        ("a\n!a/b\na/b/c", ["a", "a/x", "a/b/c"], ["a/b", "a/b/d"]),
        ("! a\na", ["a"], []),
        ("**/node_modules\n!keep/node_modules", ["node_modules/x", "b/node_modules"], ["keep/node_modules/x"]),
        ("../a\n/", [], ["a"]),
    ],
)
def test_rules(text: str, excluded: list[str], kept: list[str]) -> None:
    ignore = parse(text)
    assert [path for path in excluded if not ignore.excludes(path)] == []
    assert [path for path in kept if ignore.excludes(path)] == []


@pytest.mark.parametrize("text", ["!", "! ", "a\n[", "[]", "[z-a]", "[a"])
def test_refused_with_the_line(text: str) -> None:
    with pytest.raises(ValueError, match=f"line {text.count(chr(10)) + 1}: expected a pattern"):
        parse(text)


@given(st.text("ab*?/!.[]^\\-\n ", max_size=12), st.text("ab/", min_size=1, max_size=6))
def test_any_text_is_read_or_refused(text: str, path: str) -> None:
    try:
        ignore = parse(text)
    except ValueError:
        return
    assert ignore.excludes(path) in (True, False)


def test_taking_back_is_known() -> None:
    assert parse("*\n!a").takes_back
    assert not parse("*\n#!a").takes_back
