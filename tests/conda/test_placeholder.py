from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coopery_conda.placeholder import MAX_SHEBANG, launcher, replace_binary, replace_text

OLD = "/old_placeholder_placeholder"
NEW = "/opt/env"
pieces = st.lists(st.sampled_from([OLD.encode(), b"\0", b"/", b"a", b":", b"\xff", OLD[:5].encode()]), max_size=12)


@settings(max_examples=200)
@given(pieces)
def test_a_binary_keeps_its_size_and_its_offsets(parts: list[bytes]) -> None:
    content = b"".join(parts)
    replaced = replace_binary(content, OLD, NEW)
    assert len(replaced) == len(content)
    assert OLD.encode() not in replaced
    strings, found, offset = content.split(b"\0"), replaced, 0
    for string in strings:
        expected = string.replace(OLD.encode(), NEW.encode())
        head = string.find(OLD.encode())
        assert found[offset : offset + len(expected)] == expected
        assert head >= 0 or expected == string
        offset += len(string) + 1


def test_a_prefix_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=rf"longer than the {len(OLD)} bytes"):
        replace_binary(OLD.encode(), OLD, "/" + "x" * len(OLD))
    assert replace_binary(OLD.encode(), OLD, "/" + "x" * (len(OLD) - 1)) == b"/" + b"x" * (len(OLD) - 1)


@settings(max_examples=100)
@given(pieces)
def test_text_without_a_shebang_is_only_replaced(parts: list[bytes]) -> None:
    content = b" " + b"".join(parts)
    assert replace_text(content, OLD, NEW) == content.replace(OLD.encode(), NEW.encode())


@pytest.mark.parametrize(
    ("name", "first_line"),
    [
        ("python3.11 -E", "#!/bin/sh"),
        ("python", "#!/bin/sh"),
        ("pythonw", "#!/usr/bin/env pythonw"),
        ("perl -w", "#!/usr/bin/env perl -w"),
    ],
)
def test_a_first_line_that_the_kernel_would_cut(name: str, first_line: str) -> None:
    prefix = "/opt/" + "e" * 130
    script = replace_text(f"#!{OLD}/bin/{name}\nrest {OLD}".encode(), OLD, prefix).decode()
    assert script.split("\n")[0] == first_line
    assert script.endswith(f"\nrest {prefix}")
    if first_line == "#!/bin/sh":
        interpreter, _, options = name.partition(" ")
        middle = f'"{prefix}/bin/{interpreter}"{" " + options if options else ""}'
        assert script.split("\n")[1] == f"'''exec' {middle} \"$0\" \"$@\" #'''"


def test_the_limit_of_a_first_line_is_exact() -> None:
    fits = "/" + "e" * (MAX_SHEBANG - len("#!/"))
    assert launcher(fits) == f"#!{fits}"
    assert launcher(fits + "e").startswith("#!/bin/sh\n'''exec' ")
