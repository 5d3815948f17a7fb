"""Strict JSON: one reading for every reader, or none.

A document that two programs can understand differently (a key given twice, a number that overflows) is how an image
passes one check and runs as another, so it is refused. Source: RFC 8259, section 4; GHSA-qq97-vm5h-rrhg.
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from coopery.errors import IntegrityError

MAX_BYTES: Final = 4 << 20
"""What registries must accept of a manifest (distribution spec v1.1, "Pushing Manifests"), and we of any document."""

MAX_DEPTH: Final = 64


def parse(data: bytes, where: str) -> dict[str, Any]:
    """The one JSON object that *data* is. *where* names it in messages.

    Raises:
        IntegrityError: over 4 MiB, not UTF-8, not JSON, not an object, a key twice, NaN or infinity, half of a
            surrogate pair, or nested more than 64 deep.
    """
    value = _checked(data, where)
    if not isinstance(value, dict):
        raise IntegrityError(f"{where}: expected a JSON object, got {_kind(value)}")
    return value


def parse_array(data: bytes, where: str) -> list[Any]:
    """As `parse`, for a document that is an array (the ``manifest.json`` of a Docker archive)."""
    value = _checked(data, where)
    if not isinstance(value, list):
        raise IntegrityError(f"{where}: expected a JSON array, got {_kind(value)}")
    return value


def _checked(data: bytes, where: str) -> Any:
    if len(data) > MAX_BYTES:
        raise IntegrityError(f"{where}: {len(data)} bytes; at most {MAX_BYTES} are read")
    value = _loads(data, where)
    _check_depth(value, where)
    return value


def _loads(data: bytes, where: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise IntegrityError(f"{where}: the key {twice!r} is given twice")
        return result

    def no_constant(text: str) -> NoReturn:
        raise IntegrityError(f"{where}: {text} is no JSON number")

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=unique, parse_constant=no_constant)
        if b"\\u" in data:  # only an escape can smuggle half of a surrogate pair in
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError as exc:
        raise IntegrityError(f"{where}: nested more than {MAX_DEPTH} deep") from exc
    except ValueError as exc:  # JSONDecodeError, Unicode errors, integers of thousands of digits
        raise IntegrityError(f"{where}: not JSON in UTF-8: {exc}") from exc
    return value


def _check_depth(value: Any, where: str) -> None:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise IntegrityError(f"{where}: nested more than {MAX_DEPTH} deep")


def _kind(value: Any) -> str:
    names = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "a boolean",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "null")


class Reader:
    """Typed access to one JSON object; a message names the field and what stands there instead.

    Args:
        value: the object.
        where: its place, ``manifest sha256:…``; fields are appended as ``$.layers[0].size``.
    """

    __slots__ = ("_value", "_where")

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise IntegrityError(f"{where}: expected an object, got {_kind(value)}")
        self._value: dict[str, Any] = value
        self._where = where

    def __contains__(self, name: str) -> bool:
        return self._value.get(name) is not None

    def fail(self, name: str, expected: str) -> NoReturn:
        """Refuse the field *name*."""
        found = repr(self._value[name]) if name in self._value else "nothing"
        shown = found if len(found) <= 80 else found[:77] + "..."
        raise IntegrityError(f"{self._where}.{name}: expected {expected}, got {shown}")

    def text(self, name: str, default: str | None = None) -> str:
        """A string; *default* where the field is absent or null, and an error where there is no default."""
        value = self._value.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            self.fail(name, "a string")
        return value

    def whole(self, name: str, low: int, high: int) -> int:
        """An integer from *low* to *high*; ``1.0`` and ``true`` are none."""
        value = self._value.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.fail(name, f"an integer from {low} to {high}")
        return value

    def items(self, name: str, *, required: bool = True) -> list[Any]:
        """An array; empty where the field is absent and not *required*."""
        value = self._value.get(name)
        if value is None and not required:
            return []
        if not isinstance(value, list):
            self.fail(name, "an array")
        return value

    def texts(self, name: str) -> dict[str, str]:
        """An object whose values are strings; empty where the field is absent."""
        value = self._value.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
            self.fail(name, "an object of strings")
        return value

    def get(self, name: str) -> Any:
        """The field *name* as it stands; None where it is absent."""
        return self._value.get(name)

    def at(self, name: str) -> Reader:
        """The object in the field *name*."""
        return Reader(self._value.get(name), f"{self._where}.{name}")
