"""An error as plain data and back, so that those who waited for a build share its failure with those who ran it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from coopery.errors import BuildError, CooperyError

_MOST: Final = 16_384
"""Characters kept of one field: a failure is shown to people, the log keeps all of it."""


def describe(exc: BaseException) -> dict[str, Any]:
    """What *exc* is, in JSON values: ``types`` from its own class upwards, ``message``, ``log``, ``fields``.

    A class with a field that JSON cannot hold is described as its parent: without that field it would be a broken one.
    """
    known = vars(exc) if isinstance(exc, CooperyError) else {}
    fields = {name: _plain(value) for name, value in known.items() if _is_plain(value)}
    types = [f"{cls.__module__}.{cls.__qualname__}" for cls in type(exc).__mro__ if issubclass(cls, CooperyError)]
    return {
        "types": types if len(fields) == len(known) else types[1:],
        "message": (exc.message if isinstance(exc, CooperyError) else f"{type(exc).__name__}: {exc}")[:_MOST],
        "log": str(getattr(exc, "log", "")),
        "fields": {name: value for name, value in fields.items() if name not in ("message", "log")},
    }


def restore(error: Mapping[str, Any]) -> CooperyError:
    """An error of the same class with the same fields, or of its nearest parent that this process knows.

    Nothing is imported for it: a record never decides which code runs. An error that was none of ours comes back as
    BuildError.
    """
    known = {f"{cls.__module__}.{cls.__qualname__}": cls for cls in _classes(CooperyError)}
    names = error.get("types") or ()
    cls = next((known[name] for name in names if name in known), BuildError)
    restored = cls.__new__(cls)
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in error["fields"].items()}
    CooperyError.__init__(restored, str(error["message"]), remedy=str(fields.pop("remedy", "")))
    restored.__dict__.update(fields)
    if error.get("log"):
        restored.__dict__["log"] = str(error["log"])
    return restored


def copy(error: Exception) -> Exception:
    """*error* again, for one more thread, since a traceback belongs to one. What is none of ours cannot be copied."""
    if not isinstance(error, CooperyError):
        return error
    again = type(error).__new__(type(error))
    again.args = error.args
    again.__dict__.update(error.__dict__)
    return again


def _classes(root: type[CooperyError]) -> Iterator[type[CooperyError]]:
    yield root
    for child in root.__subclasses__():
        yield from _classes(child)


def _is_plain(value: object) -> bool:
    if isinstance(value, (tuple, list)):
        return all(isinstance(item, (str, int, float, bool)) for item in value)
    return isinstance(value, (str, int, float, bool))


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value[:_MOST]
    return list(value) if isinstance(value, tuple) else value
