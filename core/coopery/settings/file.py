"""One settings file: TOML, checked, with the line of every value and of every mistake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from coopery.errors import Problem
from coopery.settings import checks
from coopery.settings.known import NAMES, PROJECT, TABLES
from coopery.settings.lines import line_of

_LIMIT: Final = 1 << 20
"""Bytes of the largest file that is read."""


@frozen
class Found:
    """What one file says: settings by name, where each stands, and what is wrong."""

    values: dict[str, Any] = field(factory=dict)
    origins: dict[str, str] = field(factory=dict)
    problems: list[Problem] = field(factory=list)


def read(path: Path, own: Path, trusted: tuple[str, ...] | None) -> Found:
    """What the file *path* sets. Never raises: whatever is wrong is in ``problems``.

    Args:
        path: the file.
        own: what ``~`` stands for.
        trusted: for a project's file, the folders whose projects may set everything; None for any other file.
    """
    found = Found()
    try:
        text = _text(path)
        document = _parsed(text)
    except (ValueError, OSError) as exc:
        found.problems.append(_unreadable(path, exc))
        return found
    free = trusted is None or _below(path, trusted)
    place = checks.Place(path.parent, lambda: own)
    for name, value in document.items():
        if name not in NAMES or not (free or name in PROJECT):
            remedy = _forbidden(path) if name in NAMES else checks.near(name, NAMES)
            message = "a project may not set this" if name in NAMES else f"unknown setting; known are {_known()}"
            found.problems.append(_problem(path, text, (name,), message, remedy))
        else:
            _add(found, path, text, name, value, place)
    return found


def _add(found: Found, path: Path, text: str, name: str, value: Any, place: checks.Place) -> None:
    if name in TABLES and isinstance(value, dict):
        kept = found.values[name] = {}
        for key, one in value.items():
            try:
                shown, there = checks.entry(name, key, one, place)
            except checks.Wrong as exc:
                found.problems.append(_problem(path, text, (name, key), exc.message, exc.remedy))
            else:
                kept[shown] = there
                found.origins[f"{name}.{shown}"] = _place(path, text, (name, key))
        return
    try:
        found.values[name] = checks.check(name, value, place.folder, place.own)
    except checks.Wrong as exc:
        found.problems.append(_problem(path, text, (name,), exc.message, exc.remedy))
    else:
        found.origins[name] = _place(path, text, (name,))


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_LIMIT + 1)
    if len(data) > _LIMIT:
        raise ValueError(f"larger than {_LIMIT} bytes")
    return data.decode("utf-8")


def _parsed(text: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc


def _unreadable(path: Path, exc: Exception) -> Problem:
    reason = exc.strerror if isinstance(exc, OSError) else str(exc)
    remedy = "check who may read it" if isinstance(exc, OSError) else ""
    return Problem("settings", f"cannot be read as TOML: {reason}", file=str(path), remedy=remedy)


def _below(path: Path, trusted: tuple[str, ...]) -> bool:
    """Whether *path* lies in a trusted folder. Links are followed: a link into one does not make its target trusted."""
    real = path.resolve().parent
    return any(real.is_relative_to(Path(folder).resolve()) for folder in trusted)


def _forbidden(path: Path) -> str:
    return (
        "it comes with a clone and could redirect what you trust: put it into ~/.config/coopery/settings.toml,"
        f' or trusted_projects = ["{path.parent}"] there'
    )


def _known() -> str:
    return ", ".join(sorted(NAMES))


def _problem(path: Path, text: str, keys: tuple[str, ...], message: str, remedy: str) -> Problem:
    return Problem(".".join(_clean(keys)), message, file=str(path), line=line_of(text, keys), remedy=remedy)


def _clean(keys: tuple[str, ...]) -> Iterator[str]:
    from coopery.redact import masked

    return (masked("".join(char if char.isprintable() else "?" for char in key))[:200] for key in keys)


def _place(path: Path, text: str, keys: tuple[str, ...]) -> str:
    line = line_of(text, keys)
    return f"{path}:{line}" if line else str(path)
