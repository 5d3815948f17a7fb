from __future__ import annotations

import enum
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coopery import encoding
from coopery.encoding import MAX_DEPTH, EncodingError, encode

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-encoding.MAX_INTEGER, encoding.MAX_INTEGER)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abAB:0", max_size=3), inner, max_size=4),
    max_leaves=12,
)


def decode(data: bytes, at: int = 0) -> tuple[Any, int]:
    """The inverse, written for the proof that there is one."""
    kind = data[at : at + 1]
    if kind in b"ntf":
        return {b"n": None, b"t": True, b"f": False}[kind], at + 1
    colon = data.index(b":", at)
    number = int(data[at + 1 : colon])
    at = colon + 1
    if kind == b"i":
        return number, at
    if kind == b"s":
        return data[at : at + number].decode(), at + number
    found = []
    for _ in range(number * (2 if kind == b"m" else 1)):
        value, at = decode(data, at)
        found.append(value)
    return (found if kind == b"l" else dict(zip(found[::2], found[1::2], strict=True))), at


@given(values)
def test_every_value_can_be_read_back(value: Any) -> None:
    data = encode(value)
    back, end = decode(data)
    assert end == len(data)
    assert json.dumps(back, sort_keys=True) == json.dumps(value, sort_keys=True)  # tells 1 from True, as == does not


@given(values, values)
def test_no_encoding_begins_another(a: Any, b: Any) -> None:
    same = json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)
    assert encode(a).startswith(encode(b)) == same


@given(st.dictionaries(st.text(max_size=3).filter(lambda t: t.isprintable()), st.integers(0, 9), max_size=8))
def test_order_of_names_never_counts(value: dict[str, int]) -> None:
    assert encode(value) == encode(dict(reversed(value.items())))


@pytest.mark.parametrize(
    ("value", "path", "message"),
    [
        (1.0, "$", "float"),
        ({"a": [0, float("nan")]}, "$.a[1]", "float"),
        (2**53, "$", "2^53"),
        (-(2**53), "$", "2^53"),
        ("\ud800", "$", "surrogate"),
        ({"\udfff": 1}, "$", "surrogate"),
        ({1: 2}, "$", "strings"),
        (b"bytes", "$", "bytes"),
        ({"s": {1}}, "$.s", "set"),
    ],
)
def test_refused(value: Any, path: str, message: str) -> None:
    with pytest.raises(EncodingError, match=message.replace("^", r"\^")) as caught:
        encode(value)
    assert caught.value.path == path


def test_a_huge_integer_is_refused_without_printing_it() -> None:
    with pytest.raises(EncodingError, match="one of 99999 bits"):
        encode(1 << 99_998)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def test_depth_is_bounded() -> None:
    assert encode(nested(MAX_DEPTH)) == b"l1:" * MAX_DEPTH + b"l0:"
    for depth in (MAX_DEPTH + 1, 100_000):
        with pytest.raises(EncodingError, match="nesting"):
            encode(nested(depth))


def test_loops_and_shared_bombs_end() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(EncodingError, match="nesting"):
        encode(loop)
    bomb: Any = ["x" * 1000] * 100
    for _ in range(20):
        bomb = [bomb] * 100
    with pytest.raises(EncodingError, match="encoded bytes"):
        encode(bomb)


def test_types_are_told_apart() -> None:
    values = [None, False, True, 0, 1, "", "0", "1", "n", [], [0], {}, {"": 0}, [[]], [""], "s0:"]
    assert len({encode(value) for value in values}) == len(values)


def test_subclasses_count_as_what_they_are() -> None:
    class Word(str):
        __slots__ = ()

    assert encode(Word("a")) == encode("a")
    assert encode(enum.IntEnum("Number", "ONE")["ONE"]) == encode(1)
    assert encode((1, 2)) == encode([1, 2])


def test_tag_begins_what_is_hashed() -> None:
    assert encoding.digest("a", "b") != encoding.digest("b", "b")
    assert encoding.digest("a", "b", "c") != encoding.digest("a", ["b", "c"])
    assert encoding.digest("a", 1, 2) == encoding.digest_each("a", 2, iter([1, 2]))
    with pytest.raises(ValueError, match="expected 3 values, got 2"):
        encoding.digest_each("a", 3, iter([1, 2]))
