"""The canonical encoding: plain values into bytes, one way only. Every identity of ours is a hash of such bytes.

Each value begins with a letter for its type and, where its length varies, that length, so no two different values
share an encoding and none is a prefix of another. The grammar, with an example, is in ``docs/key.md``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

MAX_INTEGER: Final = 2**53 - 1
"""Every JSON reader of every language holds integers up to this one exactly (RFC 8259, section 6)."""

MAX_DEPTH: Final = 32
MAX_BYTES: Final = 1 << 24


class EncodingError(ValueError):
    """A value has no canonical form.

    Args:
        path: where it is, ``$.steps[2].mode``.
        message: what was expected and what was found.
    """

    def __init__(self, path: str, message: str) -> None:
        self.path = path
        self.message = message
        super().__init__(f"{path}: {message}")


def encode(value: Any) -> bytes:
    """The canonical bytes of *value*: None, bool, int, str, lists or tuples, and mappings with string keys.

    Raises:
        EncodingError: a float or another type, an integer beyond 2^53-1, a lone surrogate, nesting deeper than
            `MAX_DEPTH`, or more than `MAX_BYTES` bytes.
    """
    pieces: list[bytes] = []
    size = 0
    for piece in _pieces(value, "$", 0):
        size += len(piece)
        if size > MAX_BYTES:
            raise EncodingError("$", f"expected at most {MAX_BYTES} encoded bytes, got more")
        pieces.append(piece)
    return b"".join(pieces)


def digest(tag: str, *values: Any) -> str:
    """Hash of ``[tag, *values]``: 64 hexadecimal digits. The tag names the meaning and its version.

    Raises:
        EncodingError: as `encode`.
    """
    return digest_each(tag, len(values), values)


def digest_each(tag: str, count: int, values: Iterable[Any]) -> str:
    """As `digest`, for *count* values that come one by one and never stand in memory together.

    Raises:
        EncodingError: as `encode`, judged for each value by itself.
        ValueError: *values* gave another number than *count*.
    """
    hashed = hashlib.sha256(b"l%d:" % (count + 1))
    hashed.update(encode(tag))
    seen = 0
    for seen, value in enumerate(values, 1):  # noqa: B007 - the last number is the count
        hashed.update(encode(value))
    if seen != count:
        raise ValueError(f"expected {count} values, got {seen}")
    return hashed.hexdigest()


def _pieces(value: Any, path: str, depth: int) -> Iterator[bytes]:
    if depth > MAX_DEPTH:
        raise EncodingError(path[:80], f"expected nesting of at most {MAX_DEPTH}, got more")
    if isinstance(value, str):
        yield _string(value, path)
    elif value is None:
        yield b"n"
    elif isinstance(value, bool):  # before int, which it is a kind of
        yield b"t" if value else b"f"
    elif isinstance(value, int):
        yield _integer(value, path)
    elif isinstance(value, list | tuple):
        yield b"l%d:" % len(value)
        for index, item in enumerate(value):
            yield from _pieces(item, f"{path}[{index}]", depth + 1)
    elif isinstance(value, Mapping):
        yield from _map(value, path, depth)
    else:
        kind = type(value).__name__
        raise EncodingError(path, f"expected null, a boolean, integer, string, list or map, got a {kind}: {value!r}")


def _string(value: str, path: str) -> bytes:
    try:
        data = value.encode()
    except UnicodeEncodeError as exc:
        raise EncodingError(path, f"expected text that is valid in UTF-8, got a lone surrogate: {value!a}") from exc
    return b"s%d:%b" % (len(data), data)


def _integer(value: int, path: str) -> bytes:
    if abs(value) > MAX_INTEGER:
        shown = value if value.bit_length() < 1024 else f"one of {value.bit_length()} bits"
        raise EncodingError(path, f"expected an integer within ±(2^53-1), got {shown}")
    return b"i%d:" % value


def _map(value: Mapping[Any, Any], path: str, depth: int) -> Iterator[bytes]:
    yield b"m%d:" % len(value)
    if wrong := [name for name in value if not isinstance(name, str)]:
        raise EncodingError(path, f"expected names that are strings, got {wrong[0]!r}")
    for name in sorted(value):  # by code point, which is the order of the UTF-8 bytes too
        yield _string(name, path)
        yield from _pieces(value[name], f"{path}.{name}", depth + 1)
